package journal

import (
	"fmt"
	"os"
)

// scratchBytes is about what the records of one request take.
const scratchBytes = 16 << 10

// Room reports whether the records of a request could be written now: nil, or
// an error that wraps ErrUnavailable and says why not. It writes as much beside
// the segments and takes it away again.
func (j *Journal) Room() error {
	j.mu.Lock()
	err := j.broken
	if err == nil {
		err = j.hold()
	}
	j.mu.Unlock()
	if err == nil {
		err = scratch(j.cfg.AuditDir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func scratch(dir string) error {
	f, err := os.CreateTemp(dir, ".room-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = f.Write(make([]byte, scratchBytes))
	return err
}
