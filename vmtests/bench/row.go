//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
)

// slower is the ratio to BASE above which a row is named at the end.
const slower = 1.05

// Sides of a comparison. Every other name is a peer's.
const (
	sideNew = "new" // this tree
	sideOld = "old" // BASE
)

// row is one quantity: its samples by side and by peer, taken in turn. It goes
// from the machine to the host as one line of JSON.
type row struct {
	Name    string               `json:"name"`
	Unit    string               `json:"unit"`
	Samples map[string][]float64 `json:"samples"`
	Peers   []string             `json:"peers,omitempty"` // in the order of printing
}

// sampler is one side or peer: run takes one sample.
type sampler struct {
	name string
	run  func() (float64, error)
}

// turns are the samplers of one row, who take their samples strictly in turn.
type turns struct {
	row   row
	order []sampler
}

func newTurns(name, unit string, samplers []sampler) *turns {
	t := &turns{row{Name: name, Unit: unit, Samples: map[string][]float64{}}, slices.Clone(samplers)}
	for _, s := range samplers {
		if s.name != sideNew && s.name != sideOld {
			t.row.Peers = append(t.row.Peers, s.name)
		}
	}
	return t
}

// take takes one sample of each, and keeps it unless it is to warm caches only. The last
// two, which are the new and the old where there is a BASE, change places each time:
// neither always runs in the other's wake.
func (t *turns) take(ctx context.Context, keep bool) error {
	for _, s := range t.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		took, err := s.run()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", t.row.Name, s.name, err)
		}
		if keep {
			t.row.Samples[s.name] = append(t.row.Samples[s.name], took)
		}
	}
	if n := len(t.order); n > 1 && t.order[n-1].name == sideNew || n > 1 && t.order[n-1].name == sideOld && t.order[n-2].name == sideNew {
		t.order[n-1], t.order[n-2] = t.order[n-2], t.order[n-1]
	}
	return nil
}

// alternate takes samples of rows round by round, after a few that warm caches.
func alternate(ctx context.Context, rounds, warm int, rows ...*turns) error {
	for i := range rounds + warm {
		for _, t := range rows {
			if err := t.take(ctx, i >= warm); err != nil {
				return err
			}
		}
	}
	return nil
}

// ratio is new over old, and false if one of the two was not measured.
func (r row) ratio() (float64, bool) {
	newer, older := r.Samples[sideNew], r.Samples[sideOld]
	if len(newer) == 0 || len(older) == 0 {
		return 0, false
	}
	return percentile(newer, 50) / percentile(older, 50), true
}

// interval is where the ratio lies in 95 of 100 drawings from the same samples
// (bootstrap of pairs: what slows both down at once cancels out).
func (r row) interval() (low, high float64) {
	newer, older := r.Samples[sideNew], r.Samples[sideOld]
	n := min(len(newer), len(older))
	random := rand.New(rand.NewPCG(1, 2)) // the same samples, the same answer
	a, b := make([]float64, n), make([]float64, n)
	ratios := make([]float64, 500)
	for i := range ratios {
		for j := range n {
			k := random.IntN(n)
			a[j], b[j] = newer[k], older[k]
		}
		ratios[i] = percentile(a, 50) / percentile(b, 50)
	}
	return percentile(ratios, 2.5), percentile(ratios, 97.5)
}

const heading = "medians, quartiles of the samples in brackets, 95 % interval of the ratio"

// print writes one row: ours, BASE's with the ratio, each peer's with the ratio.
func (r row) print(w io.Writer) {
	fmt.Fprintf(w, "%-44s", r.Name)
	if ours := r.Samples[sideNew]; len(ours) > 0 {
		fmt.Fprintf(w, " new %s", spread(ours, r.Unit))
	}
	if older := r.Samples[sideOld]; len(older) > 0 {
		fmt.Fprintf(w, "  old %s", spread(older, r.Unit))
	}
	if ratio, ok := r.ratio(); ok {
		low, high := r.interval()
		fmt.Fprintf(w, "  new/old %.2f (%.2f to %.2f)", ratio, low, high)
	}
	for _, peer := range r.Peers {
		took := r.Samples[peer]
		if len(took) == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s %s", peer, spread(took, r.Unit))
		if ours := r.Samples[sideNew]; len(ours) > 0 {
			fmt.Fprintf(w, " new/%s %.2f", peer, percentile(ours, 50)/percentile(took, 50))
		}
	}
	fmt.Fprintln(w)
}

func spread(samples []float64, unit string) string {
	median := fmt.Sprintf("%.4g %s", percentile(samples, 50), unit)
	if len(samples) < 3 {
		return median
	}
	return fmt.Sprintf("%s [%.4g-%.4g]", median, percentile(samples, 25), percentile(samples, 75))
}

// summary names the rows that are slower than BASE's, or bigger. Beside each
// stands its interval: one that begins below 1 may be chance.
func summary(rows []row) string {
	var above []string
	compared := 0
	for _, r := range rows {
		ratio, ok := r.ratio()
		if !ok {
			continue
		}
		compared++
		if ratio > slower {
			low, high := r.interval()
			above = append(above, fmt.Sprintf("%s %.2f (%.2f to %.2f)", r.Name, ratio, low, high))
		}
	}
	if len(above) == 0 {
		return fmt.Sprintf("none of %d rows is above %.2f of BASE", compared, slower)
	}
	return fmt.Sprintf("%d of %d rows are above %.2f of BASE: %s", len(above), compared, slower, strings.Join(above, "; "))
}

// percentile of at least one sample.
func percentile(samples []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(float64(len(sorted)-1)*p/100)]
}
