package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/settings"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(writerAt); at != "" {
		fmt.Println(write(at)) // until it is killed
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

var (
	admin = core.Principal{Kind: core.Admin, User: "0"}
	chat  = core.Principal{Kind: core.Plugin, Name: "Chat"}
)

// mirror seals by turning bytes over, and binds what it seals to its name.
type mirror struct{ err error }

func turned(b []byte) []byte {
	c := make([]byte, len(b))
	for i := range b {
		c[i] = ^b[i]
	}
	return c
}

func (m *mirror) Seal(_ context.Context, secret, name []byte) ([]byte, error) {
	return append(append(turned(name), 0), turned(secret)...), m.err
}

func (m *mirror) Unseal(_ context.Context, sealed, name []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, append(turned(name), 0))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return turned(rest), m.err
}

// place is a store with plugin Chat on top of it.
type place struct {
	*Values
	store     *Store
	effective *settings.Effective
	sealer    *mirror
	file      string // what Chat's file says when it is read again
	changed   []string
}

func newPlace(t *testing.T, path string) *place {
	t.Helper()
	kept, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{store: kept, effective: settings.NewEffective(settings.At("/agent", "")), sealer: &mirror{}, file: `{"id": "Chat", "colour": "blue", "metadata": {"shade": "dark"}}`}
	p.reread(t)
	p.Values, err = New(context.Background(), Config{
		Store: kept, Effective: p.effective, Sealer: p.sealer,
		Secret: func(_, key string) bool { return strings.EqualFold(key, "token") },
		Fixed: func(_, key string) string {
			if key == "id" {
				return "id is what the file says"
			}
			return ""
		},
		Check: func(_, key, value string) error {
			if key == "number" && value == "many" {
				return errors.New("number is \"many\", expected a number")
			}
			return nil
		},
		Reread:  func(string) error { p.reread(t); return nil },
		Changed: func(plugin string, keys []string) { p.changed = append(p.changed, plugin+": "+strings.Join(keys, ",")) },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) reread(t *testing.T) {
	t.Helper()
	doc, err := settings.ParseDocument("Chat.json", []byte(p.file))
	if err == nil {
		err = p.effective.Put("Chat", doc)
	}
	if err != nil {
		t.Error(err)
	}
}

func (p *place) get(key string) string {
	all, _ := p.All("Chat")
	return all[key]
}

func path(t *testing.T) string { return filepath.Join(t.TempDir(), "settings.db") }
