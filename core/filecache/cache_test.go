package filecache

import (
	"slices"
	"testing"
	"time"

	"kpm/core/port"

	"pgregory.net/rapid"
)

func file(inode int) Identity { return Identify(port.FileInfo{Inode: uint64(inode)}, 0) }

// Attack: a file is replaced by another that differs in one thing only.
func TestEveryChangeIsAnotherIdentity(t *testing.T) {
	info := port.FileInfo{Path: "/a", Device: 1, Inode: 2, Size: 3, Change: time.Unix(4, 5)}
	same := info
	same.Path, same.Change = "/b", info.Change.UTC()
	if Identify(same, 6) != Identify(info, 6) {
		t.Error("a path or a time zone is part of the identity")
	}
	seen := map[Identity]bool{Identify(info, 6): true, Identify(info, 7): true}
	for _, change := range []func(*port.FileInfo){
		func(i *port.FileInfo) { i.Device++ },
		func(i *port.FileInfo) { i.Inode++ },
		func(i *port.FileInfo) { i.Size++ },
		func(i *port.FileInfo) { i.Change = i.Change.Add(1) },
	} {
		other := info
		change(&other)
		seen[Identify(other, 6)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d identities, want 6", len(seen))
	}
}

func TestTheCacheForgetsWhatIsLeastUsed(t *testing.T) {
	const most = 100
	c := New[int](most)
	for i := range most + 10 {
		c.Put(file(i), i)
		c.Get(file(0), nil) // used all the time
		c.Put(file(i), i)   // again
	}
	if len(c.entries) != most || c.order.Len() != most {
		t.Errorf("%d entries, %d in order", len(c.entries), c.order.Len())
	}
	if v, ok := c.Get(file(0), nil); !ok || v != 0 {
		t.Error("the one in use was forgotten")
	}
	if _, ok := c.Get(file(1), nil); ok {
		t.Error("the oldest was kept")
	}
}

func TestWhatIsInvalidIsForgotten(t *testing.T) {
	c := New[string](10)
	c.Put(file(1), "old")
	if v, ok := c.Get(file(1), func(v *string) bool { return *v == "old" }); !ok || v != "old" {
		t.Errorf("%q, %v", v, ok)
	}
	if v, ok := c.Get(file(1), func(*string) bool { return false }); ok || v != "" {
		t.Errorf("%q was believed", v)
	}
	if _, ok := c.Get(file(1), nil); ok || c.order.Len() != 0 {
		t.Error("it was kept")
	}
	c.Put(file(1), "new")
	c.Put(file(1), "newer")
	if v, _ := c.Get(file(1), nil); v != "newer" {
		t.Errorf("%q, want what was put last", v)
	}
}

// Whatever is put and asked for, the cache does what a slow one does.
func TestTheCacheIsAnLRU(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "most")
		c := New[int](most)
		type pair struct{ inode, value int }
		var model []pair // most recently used first
		find := func(inode int) int { return slices.IndexFunc(model, func(p pair) bool { return p.inode == inode }) }
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			inode := rapid.IntRange(0, 7).Draw(t, "inode")
			at := find(inode)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				value := rapid.Int().Draw(t, "value")
				c.Put(file(inode), value)
				if at >= 0 {
					model = slices.Delete(model, at, at+1)
				}
				model = slices.Insert(model, 0, pair{inode, value})
				model = model[:min(len(model), most)]
			case 1:
				value, ok := c.Get(file(inode), nil)
				if ok != (at >= 0) || ok && value != model[at].value {
					t.Fatalf("inode %d: %d, %v; want %v", inode, value, ok, model)
				}
				if ok {
					p := model[at]
					model = slices.Insert(slices.Delete(model, at, at+1), 0, p)
				}
			case 2:
				c.Get(file(inode), func(*int) bool { return false })
				if at >= 0 {
					model = slices.Delete(model, at, at+1)
				}
			}
			if c.order.Len() != len(model) || len(c.entries) != len(model) {
				t.Fatalf("%d files in order, %d entries, want %d", c.order.Len(), len(c.entries), len(model))
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	c := New[[2]string](1024)
	for i := range 1024 {
		c.Put(file(i), [2]string{})
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Get(file(1), nil)
	}
}
