package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The compiler holds the offsets to those that golang.org/x/sys has made of
// Apple's headers: an array index that is not 0 does not compile.
var (
	info unix.KinfoProc
	_    = [1]int{}[unsafe.Sizeof(info)-ProcessSize]
	_    = [1]int{}[unsafe.Offsetof(info.Proc.P_starttime)-offStartSec]
	_    = [1]int{}[unsafe.Offsetof(info.Proc.P_starttime.Usec)-offStartMicros]
	_    = [1]int{}[unsafe.Offsetof(info.Proc.P_stat)-offState]
	_    = [1]int{}[unsafe.Offsetof(info.Proc.P_pid)-offPID]
	_    = [1]int{}[unsafe.Offsetof(info.Proc.P_comm)-offName]
	_    = [1]int{}[unsafe.Sizeof(info.Proc.P_comm)-nameSize]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Pcred)+unsafe.Offsetof(info.Eproc.Pcred.P_ruid)-offRealUser]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Pcred)+unsafe.Offsetof(info.Eproc.Pcred.P_svuid)-offSavedUser]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Pcred)+unsafe.Offsetof(info.Eproc.Pcred.P_rgid)-offRealGroup]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Pcred)+unsafe.Offsetof(info.Eproc.Pcred.P_svgid)-offSavedGroup]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Ucred)+unsafe.Offsetof(info.Eproc.Ucred.Uid)-offUser]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Ucred)+unsafe.Offsetof(info.Eproc.Ucred.Ngroups)-offGroupCount]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Ucred)+unsafe.Offsetof(info.Eproc.Ucred.Groups)-offGroups]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Ppid)-offParent]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Pgid)-offGroup]
	_    = [1]int{}[unsafe.Offsetof(info.Eproc)+unsafe.Offsetof(info.Eproc.Tdev)-offTerminal]
)
