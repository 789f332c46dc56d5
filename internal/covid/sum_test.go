package covid

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var sampleValues = [NumFields]string{
	"0", "Harding", "New Mexico", "2020-03-15", "America", "New York Times",
	"0", "35021", "USA", "United States", "US", "0", "0",
}

// TestHashValuesIsAsDefined: the values behind their lengths, SHA-256, first
// 16 bytes. The hash was made by another implementation (Python's hashlib).
func TestHashValuesIsAsDefined(t *testing.T) {
	t.Parallel()
	if got, want := HashValues(&sampleValues).String(), "c2344f8169bfc0aab93dbbf8000a312c"; got != want {
		t.Errorf("HashValues = %s, want %s", got, want)
	}
}

func drawSum(t *rapid.T, name string) Sum {
	return Sum{rapid.Uint64().Draw(t, name), rapid.Uint64().Draw(t, name)}
}

func (s Sum) bigInt() *big.Int {
	high := new(big.Int).Lsh(new(big.Int).SetUint64(s[0]), 64)
	return high.Or(high, new(big.Int).SetUint64(s[1]))
}

func TestSumIsModulo128Bits(t *testing.T) {
	t.Parallel()
	modulus := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSum(t, "a"), drawSum(t, "b")
		want := new(big.Int).Add(a.bigInt(), b.bigInt())
		want.Mod(want, modulus)
		a.Add(b)
		if a.bigInt().Cmp(want) != 0 {
			t.Fatalf("sum %s, want %x", a, want)
		}
	})
}

func TestSumString(t *testing.T) {
	t.Parallel()
	if got, want := (Sum{0x0A, 0xFF}).String(), "000000000000000a00000000000000ff"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestHashFieldsIsHashValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var values [NumFields]string
		var fields Fields
		for i := range values {
			values[i] = rapid.StringN(0, 200, -1).Draw(t, Columns[i])
			fields[i] = []byte(values[i])
		}
		if HashFields(&fields) != HashValues(&values) {
			t.Fatal("the same bytes have two hashes")
		}
	})
}

func TestHashValuesSeesEveryField(t *testing.T) {
	t.Parallel()
	seen := map[Sum]string{HashValues(&sampleValues): "unchanged"}
	for i := range sampleValues {
		changed := sampleValues
		changed[i] += " "
		note(t, seen, HashValues(&changed), Columns[i])
	}
	shifted := sampleValues
	shifted[FieldCounty], shifted[FieldState] = "HardingN", "ew Mexico"
	note(t, seen, HashValues(&shifted), "shifted")
}

func note(t *testing.T, seen map[Sum]string, sum Sum, name string) {
	t.Helper()
	if other, ok := seen[sum]; ok {
		t.Errorf("%s and %s have the same hash", name, other)
	}
	seen[sum] = name
}

func sampleRow() Row {
	return Row{
		Key: Key{1}, Date: 18231, State: "a", County: "b", FIPS: "c", Country: "d", Alpha2: "e", Alpha3: "f",
		Continent: "g", DataSource: "h", NewCases: Count{1, true}, NewDeaths: Count{2, true},
		TotalCases: Count{3, true}, TotalDeaths: Count{4, true}, Source: "/file", Release: 1, Row: 1,
	}
}

func TestHashRowSeesEveryValue(t *testing.T) {
	t.Parallel()
	row := sampleRow()
	seen := map[Sum]string{HashRow(&row): "unchanged"}
	for name, change := range map[string]func(*Row){
		"key":            func(r *Row) { r.Key[15] = 1 },
		"date":           func(r *Row) { r.Date = -18231 },
		"state":          func(r *Row) { r.State = "" },
		"county":         func(r *Row) { r.County = "B" },
		"FIPS":           func(r *Row) { r.FIPS = "0c" },
		"country":        func(r *Row) { r.Country = "dd" },
		"alpha-2":        func(r *Row) { r.Alpha2 = "x" },
		"alpha-3":        func(r *Row) { r.Alpha3 = "x" },
		"continent":      func(r *Row) { r.Continent = "x" },
		"data source":    func(r *Row) { r.DataSource = "x" },
		"shifted":        func(r *Row) { r.State, r.County = "ab", "" },
		"new cases":      func(r *Row) { r.NewCases.N = -1 },
		"no new cases":   func(r *Row) { r.NewCases = Count{} },
		"zero new cases": func(r *Row) { r.NewCases.N = 0 },
		"no new deaths":  func(r *Row) { r.NewDeaths = Count{} },
		"new deaths":     func(r *Row) { r.NewDeaths.N = 3 },
		"total cases":    func(r *Row) { r.TotalCases.N = 2 },
		"total deaths":   func(r *Row) { r.TotalDeaths.N = 5 },
		"exchanged":      func(r *Row) { r.NewCases, r.NewDeaths = r.NewDeaths, r.NewCases },
	} {
		changed := sampleRow()
		change(&changed)
		note(t, seen, HashRow(&changed), name)
	}
}

func TestHashRowIgnoresWhereItCameFrom(t *testing.T) {
	t.Parallel()
	a, b := sampleRow(), sampleRow()
	b.Source, b.Release, b.Row = "/other", 7, 9
	b.TotalDeaths, a.TotalDeaths = Count{N: 5}, Count{} // unknown, whatever N says
	if HashRow(&a) != HashRow(&b) {
		t.Error("rows with the same values have two hashes")
	}
}

func BenchmarkHashValues(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		HashValues(&sampleValues)
	}
}

func BenchmarkHashRow(b *testing.B) {
	b.ReportAllocs()
	row := sampleRow()
	for b.Loop() {
		HashRow(&row)
	}
}
