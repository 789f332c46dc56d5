package covid

import "bytes"

// unitedStates are the canonical forms by which a record says that its country is
// the United States: the alpha-3 code, the alpha-2 code or the name.
var unitedStates = struct{ alpha3, alpha2, name []byte }{[]byte("usa"), []byte("us"), []byte("united states")}

// shortFIPS reports whether a FIPS has four digits. A FIPS of the United States has
// five, and a spreadsheet drops the zero in front of one: 01001 becomes 1001.
func shortFIPS[T string | []byte](fips T) bool {
	if len(fips) != 4 {
		return false
	}
	for i := range len(fips) {
		if fips[i] < '0' || fips[i] > '9' {
			return false
		}
	}
	return true
}

// inUnitedStates reports whether the country of a record is the United States, by
// its alpha-3 code, its alpha-2 code or its name. Only records with a short FIPS
// are asked.
func inUnitedStates(alpha3, alpha2, name []byte) bool {
	var room [64]byte
	return bytes.Equal(appendCanonical(room[:0], alpha3), unitedStates.alpha3) ||
		bytes.Equal(appendCanonical(room[:0], alpha2), unitedStates.alpha2) ||
		bytes.Equal(appendCanonical(room[:0], name), unitedStates.name)
}
