package pipe

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A pipe's name is as long as a random number needs to be for nobody to make one
// of this name before the service does.
//
// Attack (squatting, CVE-2022-38730 and its kind): a user's program listens under
// the name that clients know, before the service does or while it is stopped.
const (
	prefix = `\\.\pipe\kpm-`
	random = 16 // bytes
)

// ErrAddress is wrapped for a file that does not hold the name of a pipe of ours.
var ErrAddress = errors.New("it does not hold the name of a pipe of the agent's")

// newName returns a name that nobody has.
func newName() string {
	var b [random]byte
	rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

// parse reads the content of an address file: one name, one end of line.
//
// Attack: a file of a user's makes keepersudo speak to some other pipe, whose
// server does not expect what it is told.
func parse(content string) (string, error) {
	name, ended := strings.CutSuffix(content, "\n")
	digits, ours := strings.CutPrefix(name, prefix)
	if b, err := hex.DecodeString(digits); !ended || !ours || err != nil || len(b) != random || strings.ToLower(digits) != digits {
		return "", ErrAddress
	}
	return name, nil
}

// maxAddress is longer than every address, in bytes.
const maxAddress = 256

// readAddress returns the name of the pipe that path stands for.
func readAddress(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content := make([]byte, maxAddress)
	n, err := file.Read(content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, errors.Join(ErrAddress, err))
	}
	name, err := parse(string(content[:n]))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return name, nil
}
