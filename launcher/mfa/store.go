package mfa

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"kpm/core"
)

// openWithin bounds the wait for another process that has the file open.
const openWithin = 2 * time.Second

var bucket = []byte("factors") // of records by user id

// record is everything of one person.
type record struct {
	UserID core.UserID `json:"userId"`
	User   string      `json:"user"` // as it was called then
	By     string      `json:"by"`   // the principal's name
	At     time.Time   `json:"at"`
	// Secret is what the machine key has made of it.
	Secret []byte `json:"secret"`
	// Recovery are the digests of the codes that have not been used.
	Recovery [][]byte `json:"recovery"`
	// Step is the last one of which a code was accepted: it and those before are
	// not accepted again.
	Step uint64 `json:"step"`
	// Wrong counts the wrong codes since the last right one, or lock-out.
	Wrong int `json:"wrong,omitempty"`
	// Locked is when too many wrong codes have locked the person out; zero if
	// that is over, or never was.
	Locked time.Time `json:"locked,omitzero"`
}

// store is the open file.
type store struct{ db *bbolt.DB }

func openStore(path string) (*store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openWithin})
	if err != nil {
		return nil, fmt.Errorf("mfa: open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("mfa: prepare %s: %w", path, err)
	}
	return &store{db}, nil
}

// get returns a person's record, ErrNotEnrolled if there is none.
func (s *store) get(user core.UserID) (r record, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(bucket).Get([]byte(user))
		if data == nil {
			return ErrNotEnrolled
		}
		return json.Unmarshal(data, &r)
	})
	if err != nil {
		return r, fmt.Errorf("mfa: read: %w", err)
	}
	return r, nil
}

// put replaces a person's record. When it returns nil that is durable.
func (s *store) put(r record) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(r.UserID), data) })
	}
	if err != nil {
		return fmt.Errorf("mfa: write: %w", err)
	}
	return nil
}

func (s *store) remove(user core.UserID) error {
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(user)) }); err != nil {
		return fmt.Errorf("mfa: remove: %w", err)
	}
	return nil
}

// all returns the records in order of user ids.
func (s *store) all() (list []record, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, data []byte) error {
			var r record
			if err := json.Unmarshal(data, &r); err != nil {
				return err
			}
			list = append(list, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("mfa: read: %w", err)
	}
	return list, nil
}
