package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"kpm/core"
)

// StateFormat is how what lies in State and Audit is written: it goes up when an
// earlier service could not read it, and could take it for damaged.
const StateFormat = 1

// ErrNewerState is wrapped when a newer version has written State.
var ErrNewerState = core.NewError(core.Conflict, "a newer version has written the agent's state")

// written is State/format.
type written struct {
	Format int `json:"format"`
	// By is the version that has written it last.
	By string `json:"by"`
}

// ClaimState makes sure that this version reads what lies in State, and says there
// that it has. Without State/format it is of format 1: earlier versions wrote none.
// The error says what to do.
func ClaimState(l Layout, version string, write func(path string, data []byte, perm os.FileMode) error) error {
	found, err := readFormat(l.Format())
	if err != nil {
		return fmt.Errorf("settings: %s: %w; put back a copy of State and Audit (docs/operations.md, \"Backup and restore\")", l.Format(), err)
	}
	if found.Format > StateFormat {
		return fmt.Errorf("settings: %s: %w: %s, in format %d, and this one, %s, reads up to format %d; install %s or a newer one, or put back a copy of State and Audit from before (docs/operations.md, \"Backup and restore\")",
			l.Format(), ErrNewerState, found.By, found.Format, version, StateFormat, found.By)
	}
	now := written{StateFormat, version}
	if found == now {
		return nil
	}
	data, err := json.Marshal(now)
	if err == nil {
		err = write(l.Format(), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("settings: %s: %w", l.Format(), err)
	}
	return nil
}

func readFormat(path string) (written, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return written{Format: 1}, nil
	}
	var found written
	if err == nil {
		err = json.Unmarshal(data, &found)
	}
	if err == nil && found.Format < 1 {
		err = fmt.Errorf("found format %d, expected 1 or more", found.Format)
	}
	return found, err
}
