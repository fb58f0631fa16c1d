package store

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"kpm/core"
	"kpm/core/strictjson"
)

// openWithin bounds the wait for another process that has the file open.
const openWithin = 2 * time.Second

// maxPerPlugin bounds the stored settings of one plugin.
const maxPerPlugin = 1024

// ErrTooMany means that a plugin has as many stored settings as it may.
var ErrTooMany = core.NewError(core.TooMany, fmt.Sprintf("the plugin has %d stored settings already", maxPerPlugin))

var (
	settingsBucket = []byte("settings") // of buckets by folded plugin, of records by folded key
	goodBucket     = []byte("good")     // of records by path
)

// Value is one stored setting.
type Value struct {
	Plugin string `json:"plugin"` // as it was put
	Key    string `json:"key"`
	// Text is the value, or with Sealed what the machine key has made of it.
	Text   []byte    `json:"text"`
	Sealed bool      `json:"sealed,omitempty"`
	By     string    `json:"by"` // the principal's name
	At     time.Time `json:"at"`
}

// Store is the open file.
type Store struct{ db *bbolt.DB }

// Open opens the file at path, making it 0600 if it is not there. One process
// has it open at a time.
func Open(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openWithin})
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	s := &Store{db}
	err = s.update("prepare", func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{settingsBucket, goodBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// update runs f in one transaction. When it returns nil, all of it is durable;
// otherwise nothing has changed.
func (s *Store) update(what string, f func(*bbolt.Tx) error) error {
	if err := s.db.Update(f); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

func (s *Store) view(what string, f func(*bbolt.Tx) error) error {
	if err := s.db.View(f); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

func fold(name string) []byte { return []byte(strictjson.Fold(name)) }

// put keeps v in place of what was stored under its key, and under instead if
// that is not empty.
func (s *Store) put(v Value, instead string) error {
	record, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: put: %w", err)
	}
	return s.update("put", func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(settingsBucket).CreateBucketIfNotExists(fold(v.Plugin))
		if err != nil {
			return err
		}
		if instead != "" {
			if err := b.Delete(fold(instead)); err != nil {
				return err
			}
		}
		if b.Get(fold(v.Key)) == nil && b.Stats().KeyN >= maxPerPlugin {
			return ErrTooMany
		}
		return b.Put(fold(v.Key), record)
	})
}

// settings returns what is stored of one plugin, or of all if plugin is empty.
func (s *Store) settings(plugin string) (list []Value, err error) {
	err = s.view("read", func(tx *bbolt.Tx) error {
		return tx.Bucket(settingsBucket).ForEachBucket(func(name []byte) error {
			if plugin != "" && string(name) != strictjson.Fold(plugin) {
				return nil
			}
			return tx.Bucket(settingsBucket).Bucket(name).ForEach(func(_, record []byte) error {
				var v Value
				if err := json.Unmarshal(record, &v); err != nil {
					return err
				}
				list = append(list, v)
				return nil
			})
		})
	})
	return list, err
}

// forget drops what is stored of one plugin, or of all if plugin is empty, in one
// transaction.
func (s *Store) forget(plugin string) error {
	return s.update("revert", func(tx *bbolt.Tx) error {
		all := tx.Bucket(settingsBucket)
		var names [][]byte
		err := all.ForEachBucket(func(name []byte) error {
			if plugin == "" || string(name) == strictjson.Fold(plugin) {
				names = append(names, append([]byte{}, name...))
			}
			return nil
		})
		for _, name := range names {
			if err == nil {
				err = all.DeleteBucket(name)
			}
		}
		return err
	})
}
