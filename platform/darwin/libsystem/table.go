// Package libsystem is every function of macOS that golang.org/x/sys has no call
// for: what it is in C, where that is written down, and its type in Go. It is bound
// without cgo, by purego, from the system's own library.
//
// The types are here, without a build tag, since a wrong one corrupts memory and
// nobody would see it but on a Mac: a test holds each to its C prototype and has
// purego accept it, on every system.
package libsystem

import (
	"strings"
	"unsafe"
)

// Path is the library of all functions. It is part of the dynamic linker's cache:
// there is no file that somebody could change.
const Path = "/usr/lib/libSystem.B.dylib"

// Calls are the functions, by their names in C.
type Calls struct {
	ACLFree       func(obj unsafe.Pointer) int32
	ACLFromText   func(text string) unsafe.Pointer
	ACLGetFd      func(fd int32, kind int32) unsafe.Pointer
	ACLSetFd      func(fd int32, acl unsafe.Pointer) int32
	ACLToText     func(acl unsafe.Pointer, length *int64) unsafe.Pointer
	Auditon       func(command int32, data unsafe.Pointer, length uint32) int32
	Csops         func(pid int32, ops uint32, data unsafe.Pointer, size uintptr) int32
	Errno         func() *int32
	Getsockopt    func(fd, level, name int32, value unsafe.Pointer, length *uint32) int32
	Initgroups    func(name string, group int32) int32
	MbrUIDToUUID  func(uid uint32, uuid unsafe.Pointer) int32
	Memorystatus  func(command uint32, pid int32, flags uint32, buffer unsafe.Pointer, size uintptr) int32
	ProcPidfdinfo func(pid, fd, flavor int32, buffer unsafe.Pointer, size int32) int32
	ProcPidinfo   func(pid, flavor int32, arg uint64, buffer unsafe.Pointer, size int32) int32
	ProcPidpath   func(pid int32, buffer unsafe.Pointer, size uint32) int32
	SandboxCheck  func(pid int32, operation unsafe.Pointer, kind int32) int32
	SandboxInit   func(profile string, flags uint64, fault unsafe.Pointer) int32
	SetDisclaim   func(attributes unsafe.Pointer, disclaim int32) int32
	Signal        func(signal int32, action uintptr) uintptr
	Spawn         func(pid *int32, path string, actions, attributes, argv, env unsafe.Pointer) int32
	SpawnActions  func(actions unsafe.Pointer) int32
	SpawnAttr     func(attributes unsafe.Pointer) int32
	SpawnDefaults func(attributes unsafe.Pointer, signals *uint32) int32
	SpawnFlags    func(attributes unsafe.Pointer, flags int16) int32
	SpawnInherit  func(actions unsafe.Pointer, fd int32) int32
	SpawnMask     func(attributes unsafe.Pointer, signals *uint32) int32
}

// Function is one row: a field of Calls and what it is in C.
type Function struct {
	// Prototype is its declaration, and Header where that is public.
	Prototype, Header string
	// Optional functions are not in every version, and their absence is lived
	// with.
	Optional bool
	// Field is a pointer to the field.
	Field any
}

// Name is the function's name in C.
func (f Function) Name() string {
	before, _, _ := strings.Cut(f.Prototype, "(")
	return before[strings.LastIndexAny(before, " *")+1:]
}

// Functions returns the rows of all fields of c.
func (c *Calls) Functions() []Function {
	return []Function{
		{Prototype: "int acl_free(void *obj_p)", Header: "sys/acl.h", Field: &c.ACLFree},
		{Prototype: "acl_t acl_from_text(const char *buf_p)", Header: "sys/acl.h", Field: &c.ACLFromText},
		{Prototype: "acl_t acl_get_fd_np(int fd, acl_type_t type)", Header: "sys/acl.h", Field: &c.ACLGetFd},
		{Prototype: "int acl_set_fd(int fd, acl_t acl)", Header: "sys/acl.h", Field: &c.ACLSetFd},
		{Prototype: "char *acl_to_text(acl_t acl, ssize_t *len_p)", Header: "sys/acl.h", Field: &c.ACLToText},
		{Prototype: "int auditon(int cmd, void *data, uint32_t length)", Header: "bsm/audit.h", Field: &c.Auditon},
		{Prototype: "int csops(pid_t pid, unsigned int ops, void *useraddr, size_t usersize)", Header: "xnu, bsd/sys/codesign.h", Field: &c.Csops},
		{Prototype: "int *__error(void)", Header: "sys/errno.h", Field: &c.Errno},
		{Prototype: "int getsockopt(int socket, int level, int option, void *value, socklen_t *length)", Header: "sys/socket.h", Field: &c.Getsockopt},
		{Prototype: "int initgroups(const char *name, int basegid)", Header: "unistd.h", Field: &c.Initgroups},
		{Prototype: "int mbr_uid_to_uuid(uid_t id, uuid_t uu)", Header: "membership.h", Field: &c.MbrUIDToUUID},
		{Prototype: "int memorystatus_control(uint32_t command, int32_t pid, uint32_t flags, void *buffer, size_t buffersize)", Header: "xnu, bsd/sys/kern_memorystatus.h", Field: &c.Memorystatus},
		{Prototype: "int proc_pidfdinfo(int pid, int fd, int flavor, void *buffer, int buffersize)", Header: "libproc.h", Field: &c.ProcPidfdinfo},
		{Prototype: "int proc_pidinfo(int pid, int flavor, uint64_t arg, void *buffer, int buffersize)", Header: "libproc.h", Field: &c.ProcPidinfo},
		{Prototype: "int proc_pidpath(int pid, void *buffer, uint32_t buffersize)", Header: "libproc.h", Field: &c.ProcPidpath},
		// It takes more for some kinds of filter, none for SANDBOX_FILTER_NONE.
		{Prototype: "int sandbox_check(pid_t pid, const char *operation, int type)", Header: "WebKit, Source/WTF/wtf/spi/darwin/SandboxSPI.h", Field: &c.SandboxCheck},
		{Prototype: "int sandbox_init(const char *profile, uint64_t flags, char **errorbuf)", Header: "sandbox.h", Field: &c.SandboxInit},
		{Prototype: "int responsibility_spawnattrs_setdisclaim(posix_spawnattr_t *attrs, int disclaim)", Header: "llvm-project, lldb/source/Host/macosx/objcxx/Host.mm", Optional: true, Field: &c.SetDisclaim},
		{Prototype: "sig_t signal(int sig, sig_t func)", Header: "signal.h", Field: &c.Signal},
		{Prototype: "int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attrs, char *const *argv, char *const *envp)", Header: "spawn.h", Field: &c.Spawn},
		{Prototype: "int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions)", Header: "spawn.h", Field: &c.SpawnActions},
		{Prototype: "int posix_spawnattr_init(posix_spawnattr_t *attrs)", Header: "spawn.h", Field: &c.SpawnAttr},
		{Prototype: "int posix_spawnattr_setsigdefault(posix_spawnattr_t *attrs, const sigset_t *set)", Header: "spawn.h", Field: &c.SpawnDefaults},
		{Prototype: "int posix_spawnattr_setflags(posix_spawnattr_t *attrs, short flags)", Header: "spawn.h", Field: &c.SpawnFlags},
		{Prototype: "int posix_spawn_file_actions_addinherit_np(posix_spawn_file_actions_t *actions, int fd)", Header: "spawn.h", Field: &c.SpawnInherit},
		{Prototype: "int posix_spawnattr_setsigmask(posix_spawnattr_t *attrs, const sigset_t *set)", Header: "spawn.h", Field: &c.SpawnMask},
	}
}
