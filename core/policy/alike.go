package policy

import (
	"reflect"
	"slices"
)

// maxAlike bounds with how many earlier ones each is compared.
const maxAlike = 8

// alike are parts of rules, each other than the rest, that further rules may have as well.
type alike[T any] struct {
	this    T // of the rule that is compiled now
	earlier []*T
}

// same returns an earlier one that is the same as this in everything, or a copy. Nothing
// changes it any more. Those that surely differ take no longer look.
func (a *alike[T]) same(differ func(a, b *T) bool) *T {
	for _, earlier := range a.earlier {
		if !differ(earlier, &a.this) && reflect.DeepEqual(earlier, &a.this) {
			return earlier
		}
	}
	this := new(T)
	*this = a.this
	if len(a.earlier) < maxAlike {
		a.earlier = append(a.earlier, this)
	}
	return this
}

func (w *who) differs(other *who) bool {
	return !slices.Equal(w.names, other.names) || !slices.Equal(w.ids, other.ids) || !slices.Equal(w.groupNames, other.groupNames)
}

func (c *conditions) differs(other *conditions) bool {
	return c.free != other.free || c.job != other.job
}
