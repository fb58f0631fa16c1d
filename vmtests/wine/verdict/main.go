//go:build windows

// Command verdict prints, for each file that it is given, what the operating
// system says about its signature: a line of JSON with standing and reason, or
// "none".
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"kpm/core/port"
	"kpm/platform/windows"
)

type line struct {
	Standing string `json:"standing"`
	Reason   string `json:"reason"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, path := range os.Args[1:] {
		if err := out.Encode(verdict(path)); err != nil {
			os.Exit(1)
		}
	}
}

func verdict(path string) line {
	f, err := os.Open(path)
	if err != nil {
		return line{"error", err.Error()}
	}
	defer f.Close()
	e, err := windows.Signatures{}.Verdict(context.Background(), f)
	switch {
	case errors.Is(err, port.ErrNoAttribute):
		return line{Standing: "none"}
	case err != nil:
		return line{"error", err.Error()}
	}
	return line{e.Standing.String(), e.Reason}
}
