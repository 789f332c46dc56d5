package health

import "covidpipeline/internal/warehouse"

// Repeats are the places of which some day stands more than once in the warehouse.
type Repeats struct {
	Error string `json:"error,omitempty"`
	warehouse.Repeats
}

// repeats judges days that count more than once. It is a notice, since the pipeline
// does what its sources say.
func (j *judge) repeats() {
	r := j.Repeats
	if r.Days == 0 {
		return
	}
	j.notice("repeated-days", `see "Daily files" in docs/operations.md; the card "Days that count more than once" names each place`,
		"%s of %s stand more than once, with another FIPS or without one, and count more than once in every sum: first %s",
		plural(r.Days, "day"), plural(r.Places, "place"), r.Example)
}
