package keeperpolicy

import (
	"os"
	"sync"
	"time"

	"kpm/core"
)

// zone is the machine's time zone. The Go runtime reads it once, when the
// process starts.
type zone struct {
	mu       sync.Mutex
	file     watchedFile
	location *time.Location
}

// of returns t on the machine's wall clock.
func (z *zone) of(t time.Time) time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	if platform() != core.Windows && z.file.changed() {
		z.location = time.UTC // what there is without the file (tzset(3))
		if data, err := os.ReadFile(z.file.path); err == nil {
			if location, err := time.LoadLocationFromTZData("Local", data); err == nil {
				z.location = location
			}
		}
	}
	return t.In(z.location)
}
