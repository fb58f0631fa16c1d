package keeperpolicy

import (
	"io/fs"
	"os"
	"time"
)

// surroundings are what a decision looks at anew, because it changes while
// policies stay as they are: which groups this machine has, and in which zone
// its clock is.
type surroundings struct {
	zone   zone
	groups groups
}

func newSurroundings() *surroundings {
	return &surroundings{
		zone:   zone{file: watchedFile{path: "/etc/localtime"}, location: time.Local},
		groups: groups{file: watchedFile{path: "/etc/group"}, sources: watchedFile{path: "/etc/nsswitch.conf"}},
	}
}

// settled is how long after its last change a file is read again each time: two
// changes may have the same time stamp.
const settled = 2 * time.Second

// watchedFile notices that a file is another one, or has other contents.
type watchedFile struct {
	path string
	last fs.FileInfo // nil if there was none
	read time.Time
	seen bool
}

// changed reports whether the file must be read, again or for the first time.
func (w *watchedFile) changed() bool {
	info, err := os.Stat(w.path)
	if err != nil {
		info = nil
	}
	same := w.seen && (info == nil) == (w.last == nil)
	if same && info != nil {
		same = os.SameFile(info, w.last) && info.ModTime().Equal(w.last.ModTime()) && info.Size() == w.last.Size() &&
			w.read.Sub(info.ModTime()) > settled
	}
	if !same {
		w.last, w.read, w.seen = info, time.Now(), true
	}
	return !same
}
