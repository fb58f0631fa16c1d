package settings

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestStateHasAFormat(t *testing.T) {
	l := At(t.TempDir(), "")
	if err := os.Mkdir(l.State(), 0o700); err != nil {
		t.Fatal(err)
	}
	writes := 0
	write := func(path string, data []byte, perm os.FileMode) error {
		writes++
		return os.WriteFile(path, data, perm)
	}
	for i, version := range []string{"1.0.0", "1.0.0", "1.1.0", "0.9.0"} {
		if err := ClaimState(l, version, write); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(l.Format())
		if want := fmt.Sprintf(`{"format":1,"by":%q}`+"\n", version); err != nil || string(data) != want {
			t.Errorf("%d: %q, %v, want %q", i, data, err, want)
		}
	}
	if writes != 3 {
		t.Errorf("written %d times: an unchanged one is left alone", writes)
	}
	broken := errors.New("no space left on device")
	if err := ClaimState(l, "2", func(string, []byte, os.FileMode) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// What a newer version has written is left as it is, and the error says what to do.
func TestStateOfANewerVersion(t *testing.T) {
	l := At(t.TempDir(), "")
	if err := os.Mkdir(l.State(), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(string, []byte, os.FileMode) error {
		t.Error("it is written over")
		return nil
	}
	for text, says := range map[string]string{
		`{"format":2,"by":"3.4.5","more":true}`: "3.4.5, in format 2, and this one, 1.0.0, reads up to format 1; install 3.4.5 or a newer one",
		`{"format":0}`:                          "found format 0",
		`{`:                                     "put back a copy",
		``:                                      "put back a copy",
	} {
		if err := os.WriteFile(l.Format(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := ClaimState(l, "1.0.0", write)
		if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, ErrNewerState) != strings.Contains(text, "2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
