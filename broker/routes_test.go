package broker

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kpm/core/wire"
)

// Whoever may hear a topic and asked for it is found, and nobody else, whatever
// the filters look like.
func TestRoutesFindWhoAskedForATopic(t *testing.T) {
	levels := func(of ...string) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(of), 1, 4), func(l []string) string { return strings.Join(l, "/") })
	}
	filters := rapid.OneOf(levels("a", "b", "+", ""), rapid.Map(levels("a", "b", "+"), func(f string) string { return f + "/#" }), rapid.Just("#"))
	rapid.Check(t, func(t *rapid.T) {
		r := newRoutes()
		conns := map[string]*conn{}
		for _, filter := range rapid.SliceOfDistinct(filters, rapid.ID).Draw(t, "filters") {
			if !wire.ValidFilter(filter) {
				continue
			}
			c := &conn{subscriptions: map[string]*subscription{}}
			conns[filter] = c
			r.add(&subscription{conn: c, filter: filter})
		}
		gone := rapid.SampledFrom(append([]string{""}, slices.Sorted(maps.Keys(conns))...)).Draw(t, "gone")
		if c := conns[gone]; c != nil {
			r.remove(c, gone)
		}
		topic := levels("a", "b", "c").Draw(t, "topic")
		var found []*conn
		for _, d := range r.match(&publication{topic: topic}, nil) {
			found = append(found, d.to)
		}
		for filter, c := range conns {
			if want := filter != gone && wire.Match(filter, topic); want != slices.Contains(found, c) {
				t.Errorf("%q by %q: %v, expected %v", topic, filter, !want, want)
			}
		}
	})
}
