package report

import "slices"

// summarise works out the numbers of the readings that have a value.
func (r *Result) summarise() {
	var v []float64
	for _, reading := range r.Readings {
		if reading.Failed == "" {
			v = append(v, reading.Value)
		}
	}
	if len(v) == 0 {
		return
	}
	r.N = len(v)
	r.Min, r.Max = slices.Min(v), slices.Max(v)
	r.Q1, r.Median, r.Q3 = Quantile(v, 0.25), Quantile(v, 0.5), Quantile(v, 0.75)
	r.IQR = r.Q3 - r.Q1
}

// Quantile is the q-quantile of values, of which there is at least one: it
// interpolates between the two nearest of them, as R's type 7 does.
func Quantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// Median is the middle of values.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// ratio is how much more a costs than b; ok is whether both have a number that
// can be divided.
func ratio(a, b *Result) (r float64, ok bool) {
	if a == nil || b == nil || a.Failed != "" || b.Failed != "" || a.N == 0 || b.N == 0 || b.Median == 0 {
		return 0, false
	}
	return a.Median / b.Median, true
}

// spread is the interquartile range in parts of the median.
func (r *Result) spread() (s float64, ok bool) {
	if r.N < 2 || r.Median == 0 {
		return 0, false
	}
	return r.IQR / r.Median, true
}

// first is the first runtime of a kind that the run has, or "".
func (r *Run) first(k Kind) string {
	for _, rt := range r.Runtimes {
		if rt.Kind == k {
			return rt.Name
		}
	}
	return ""
}
