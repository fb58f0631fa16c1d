package file

import "syscall"

// OnDescriptor calls use with f's descriptor and keeps f open meanwhile.
func OnDescriptor(f syscall.Conn, use func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = use(int(fd)) }); err != nil {
		return err
	}
	return result
}
