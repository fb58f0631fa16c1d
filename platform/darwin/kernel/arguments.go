package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// errArguments is for an answer that is not laid out as sysctl_procargsx
// (bsd/kern/kern_sysctl.c) lays it out.
var errArguments = errors.New("kernel: not the arguments of a process")

// Environment returns what a process was started with, as NAME=value, out of the
// answer of sysctl kern.procargs2: the number of arguments, the executable's path,
// NULs up to a multiple of the word size, the arguments, and the environment up to an
// empty string.
//
// All of it is the process's own memory: it says of itself what it likes. It
// restricts (a process carries the tag of a launch) and never grants.
func Environment(b []byte) ([]string, error) {
	_, rest, err := arguments(b)
	if err != nil {
		return nil, err
	}
	var env []string
	for len(rest) > 0 {
		variable, after, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(variable) == 0 {
			break // behind it are the strings of the dynamic linker
		}
		env, rest = append(env, string(variable)), after
	}
	return env, nil
}

// Arguments returns a process's arguments out of the same answer, each with a NUL
// behind it, and as little to be believed.
func Arguments(b []byte) ([]byte, error) {
	words, _, err := arguments(b)
	return words, err
}

// arguments returns what the arguments are, each with a NUL behind it, and what comes
// after them.
func arguments(b []byte) (words, after []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errArguments
	}
	count := int(int32(binary.LittleEndian.Uint32(b)))
	path, rest, ok := bytes.Cut(b[4:], []byte{0})
	if !ok || count < 0 || len(path) == 0 {
		return nil, nil, errArguments
	}
	rest = bytes.TrimLeft(rest, "\x00")
	after = rest
	for range count {
		if _, after, ok = bytes.Cut(after, []byte{0}); !ok {
			return nil, nil, errArguments
		}
	}
	return rest[:len(rest)-len(after)], after, nil
}
