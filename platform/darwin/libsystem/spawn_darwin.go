package libsystem

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of posix_spawnattr_setflags(3) (sys/spawn.h).
const (
	spawnSetSignals  = 0x0004 // POSIX_SPAWN_SETSIGDEF
	spawnSetMask     = 0x0008 // POSIX_SPAWN_SETSIGMASK
	spawnInPlace     = 0x0040 // POSIX_SPAWN_SETEXEC
	spawnSuspended   = 0x0080 // POSIX_SPAWN_START_SUSPENDED
	spawnNothingElse = 0x4000 // POSIX_SPAWN_CLOEXEC_DEFAULT
)

// step is a call that answers with an error number, 0 for none.
type step struct {
	what   string
	failed int32
}

// BecomeSuspended turns this process into the program at path, suspended before
// its first instruction. It returns only with the reason why it did not. The
// program inherits the descriptors that are named and no other, every signal has
// its default, and none is blocked.
//
// It answers for itself before the system's privacy settings (TCC). Attack: what
// the service may see (Full Disk Access), a program that it starts may see as well.
func (c *Calls) BecomeSuspended(path string, argv, env []string, inherit []int) error {
	var actions, attributes unsafe.Pointer // both types are pointers (spawn.h)
	all, none := ^uint32(0), uint32(0)
	flags := int16(spawnSetSignals | spawnSetMask | spawnInPlace | spawnSuspended | spawnNothingElse)
	steps := []step{
		{"posix_spawn_file_actions_init", c.SpawnActions(unsafe.Pointer(&actions))},
		{"posix_spawnattr_init", c.SpawnAttr(unsafe.Pointer(&attributes))},
		{"posix_spawnattr_setsigdefault", c.SpawnDefaults(unsafe.Pointer(&attributes), &all)},
		{"posix_spawnattr_setsigmask", c.SpawnMask(unsafe.Pointer(&attributes), &none)},
		{"posix_spawnattr_setflags", c.SpawnFlags(unsafe.Pointer(&attributes), flags)},
	}
	for _, fd := range inherit {
		steps = append(steps, step{"posix_spawn_file_actions_addinherit_np", c.SpawnInherit(unsafe.Pointer(&actions), int32(fd))})
	}
	if c.SetDisclaim != nil {
		steps = append(steps, step{"responsibility_spawnattrs_setdisclaim", c.SetDisclaim(unsafe.Pointer(&attributes), 1)})
	}
	for _, s := range steps {
		if s.failed != 0 {
			return fmt.Errorf("%s: %w", s.what, unix.Errno(s.failed))
		}
	}
	arguments, err := pointers(argv)
	if err != nil {
		return err
	}
	variables, err := pointers(env)
	if err != nil {
		return err
	}
	var pid int32
	failed := c.Spawn(&pid, path, unsafe.Pointer(&actions), unsafe.Pointer(&attributes), unsafe.Pointer(&arguments[0]), unsafe.Pointer(&variables[0]))
	runtime.KeepAlive(arguments)
	runtime.KeepAlive(variables)
	return fmt.Errorf("posix_spawn: %w", unix.Errno(failed))
}

// pointers is a list of C strings that ends in NULL.
func pointers(list []string) ([]*byte, error) {
	made := make([]*byte, 0, len(list)+1)
	for _, text := range list {
		p, err := unix.BytePtrFromString(text)
		if err != nil {
			return nil, err
		}
		made = append(made, p)
	}
	return append(made, nil), nil
}

// BecomeMember gives this process the groups of an account, as login does: the
// kernel asks the directory about more than the 16 that it keeps itself.
func (c *Calls) BecomeMember(name string, group int) error {
	_, err := c.checked("initgroups", func() int32 { return c.Initgroups(name, int32(group)) })
	return err
}
