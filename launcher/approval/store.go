package approval

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.etcd.io/bbolt"
	boltErrors "go.etcd.io/bbolt/errors"
)

// openWithin bounds the wait for another process that has the file open.
const openWithin = 2 * time.Second

var bucket = []byte("approvals") // of records by id

// store is the file. Every change is on the disk before it is acknowledged: after
// kill -9 at any moment, or a power loss, what was acknowledged is there, and
// nothing half.
type store struct{ db *bbolt.DB }

// openStore opens the file at path, making it 0600 if it is not there. One that is
// none is moved aside: what was approved has to be approved anew then, and nothing
// is by mistake.
func openStore(path string, now time.Time, log *slog.Logger) (*store, []Record, error) {
	s, list, err := readStore(path)
	if err == nil || errors.Is(err, boltErrors.ErrTimeout) || errors.Is(err, os.ErrPermission) {
		return s, list, err
	}
	aside := fmt.Sprintf("%s.broken-%d", path, now.Unix())
	log.Error("the approvals cannot be read; none is in force", "file", path, "moved_to", aside, "error", err)
	if moved := os.Rename(path, aside); moved != nil {
		return nil, nil, errors.Join(err, moved)
	}
	return readStore(path)
}

func readStore(path string) (*store, []Record, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openWithin})
	if err != nil {
		return nil, nil, err
	}
	var list []Record
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		return b.ForEach(func(id, text []byte) error {
			var r Record
			if err := json.Unmarshal(text, &r); err != nil {
				return err
			}
			if r.ID != string(id) {
				return fmt.Errorf("record %q calls itself %q", id, r.ID)
			}
			list = append(list, r)
			return nil
		})
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return &store{db}, list, nil
}

// put keeps r, and drops others, in one transaction.
func (s *store) put(r *Record, drop ...string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, id := range drop {
			if err := b.Delete([]byte(id)); err != nil {
				return err
			}
		}
		return b.Put([]byte(r.ID), text)
	})
}

func (s *store) close() error { return s.db.Close() }
