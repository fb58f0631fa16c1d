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
	if len(b) < 4 {
		return nil, errArguments
	}
	count := int(int32(binary.LittleEndian.Uint32(b)))
	path, rest, ok := bytes.Cut(b[4:], []byte{0})
	if !ok || count < 0 || len(path) == 0 {
		return nil, errArguments
	}
	rest = bytes.TrimLeft(rest, "\x00")
	for range count {
		if _, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return nil, errArguments
		}
	}
	var env []string
	for len(rest) > 0 {
		var variable []byte
		if variable, rest, ok = bytes.Cut(rest, []byte{0}); !ok || len(variable) == 0 {
			break // behind it are the strings of the dynamic linker
		}
		env = append(env, string(variable))
	}
	return env, nil
}
