package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
)

func TestWhatIsPutIsInForceAndStays(t *testing.T) {
	at, ctx := path(t), context.Background()
	p := newPlace(t, at)
	for key, value := range map[string]string{"colour": "red", "metadata.shade": "light", "token": "s3cret"} {
		if err := p.Put(ctx, chat, "chat", key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(at)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	data, err := os.ReadFile(at)
	if err != nil || bytes.Contains(data, []byte("s3cret")) || !bytes.Contains(data, []byte("Chat")) {
		t.Errorf("the secret is readable in the file, or nothing is: %v", err)
	}

	again := newPlace(t, at)
	defer again.store.Close()
	for key, want := range map[string]string{"colour": "red", "shade": "light", "metadata.shade": "light", "token": "s3cret"} {
		if got := again.get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	explained, _ := again.Explain("Chat")
	if s := explained["shade"]; s.Source != "stored" || s.By != "Chat" || s.At.IsZero() {
		t.Errorf("%+v", s)
	}
	if s := explained["id"]; s.Source != "file" || s.File != "Chat.json" || s.By != "" {
		t.Errorf("%+v", s)
	}
}

func TestRevert(t *testing.T) {
	p := newPlace(t, path(t))
	defer p.store.Close()
	ctx := context.Background()
	for _, key := range []string{"colour", "new"} {
		if err := p.Put(ctx, admin, "Chat", key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	p.file, p.changed = `{"id": "Chat", "colour": "green"}`, nil
	keys, err := p.Revert(chat, "CHAT")
	if err != nil || !slices.Equal(keys, []string{"colour", "new"}) {
		t.Errorf("%v, %v", keys, err)
	}
	if p.get("colour") != "green" || p.get("new") != "" || !slices.Equal(p.changed, []string{"CHAT: colour,metadata.shade,new,shade"}) {
		t.Errorf("colour %q, changed %q", p.get("colour"), p.changed)
	}
	if err := p.Put(ctx, admin, "Chat", "colour", "x"); err != nil {
		t.Fatal(err)
	}
	all, err := p.RevertAll(admin)
	if err != nil || len(all) != 1 || !slices.Equal(all["Chat"], []string{"colour"}) || p.get("colour") != "green" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestWhatCannotBePut(t *testing.T) {
	p := newPlace(t, path(t))
	defer p.store.Close()
	ctx := context.Background()
	for _, c := range []struct {
		plugin, key, value string
		kind               core.ErrorKind
		says               string
	}{
		{"Nobody", "x", "1", core.NotFound, "no such plugin"},
		{"Chat", "", "1", core.Invalid, "a setting's name has"},
		{"Chat", "a/b", "1", core.Invalid, "a setting's name has"},
		{"Chat", "a b", "1", core.Invalid, "a setting's name has"},
		{"Chat", strings.Repeat("x", 257), "1", core.Invalid, "a setting's name has"},
		{"Chat", "x", strings.Repeat("x", 64<<10+1), core.Invalid, "expected at most 65536"},
		{"Chat", "id", "1", core.Conflict, "id is what the file says"},
		{"Chat", "number", "many", core.Invalid, "expected a number"},
	} {
		if err := p.Put(ctx, admin, c.plugin, c.key, c.value); core.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %.20s: %v", c.plugin, c.key, err)
		}
	}
	p.sealer.err = errors.New("no TPM")
	if err := p.Put(ctx, admin, "Chat", "token", "1"); core.KindOf(err) != core.Unavailable || p.get("token") != "" {
		t.Errorf("%v", err)
	}
	for i := range maxPerPlugin {
		v := Value{Plugin: "Chat", Key: "k" + strings.Repeat("x", i%200) + string(rune('a'+i/200))}
		if err := p.store.put(v, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Put(ctx, admin, "Chat", "onemore", "1"); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
	if p.changed != nil {
		t.Errorf("changed %q", p.changed)
	}
}

// A store that cannot be opened keeps nobody from reading.
func TestWithoutAStore(t *testing.T) {
	p := newPlace(t, path(t))
	p.store.Close()
	p.cfg.Store, p.cfg.Broken = nil, errors.New("disk full")
	if err := p.Put(context.Background(), admin, "Chat", "x", "1"); core.KindOf(err) != core.Unavailable || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v", err)
	}
	if _, err := p.RevertAll(admin); core.KindOf(err) != core.Unavailable {
		t.Errorf("%v", err)
	}
	if p.get("colour") != "blue" {
		t.Error("settings cannot be read")
	}
}

// What was sealed for one setting cannot be put in another's place.
func TestAMovedSecretIsNotRead(t *testing.T) {
	at := path(t)
	p := newPlace(t, at)
	if err := p.Put(context.Background(), admin, "Chat", "token", "s3cret"); err != nil {
		t.Fatal(err)
	}
	list, err := p.store.settings("Chat")
	if err != nil || len(list) != 1 || !list[0].Sealed {
		t.Fatal(list, err)
	}
	list[0].Key = "colour"
	if err := p.store.put(list[0], "token"); err != nil {
		t.Fatal(err)
	}
	p.store.Close()
	again := newPlace(t, at)
	defer again.store.Close()
	if got := again.get("colour"); got != "blue" {
		t.Errorf("colour is %q", got)
	}
}

// Nobody else opens the file while it is open, or can read it.
func TestTheFileIsTheServices(t *testing.T) {
	at := path(t)
	s, err := Open(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.put(Value{Plugin: "A", Key: "k"}, ""); err != nil {
		t.Fatal(err)
	}
	if other, err := Open(at); err == nil {
		t.Error("it was opened twice", other.Close())
	}
	files, err := filepath.Glob(at + "*")
	if err != nil || len(files) != 2 {
		t.Errorf("%q, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(at); err == nil || !strings.Contains(err.Error(), at) {
		t.Errorf("what is no database was opened: %v", err)
	}
}
