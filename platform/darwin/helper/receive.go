//go:build unix

package helper

import (
	"io"

	"golang.org/x/sys/unix"
)

// maxFiles is the most descriptors that come with one message.
const maxFiles = 16

// receiver reads from a socket and keeps the descriptors that come along.
type receiver struct {
	fd    int
	files []int
}

// Read implements io.Reader. Descriptors that do not fit are an error.
func (r *receiver) Read(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	for {
		n, oobn, flags, _, err := unix.Recvmsg(r.fd, p, oob, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case flags&unix.MSG_CTRUNC != 0:
			return 0, unix.EMSGSIZE
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return 0, err
		}
		for i := range messages {
			files, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				return 0, err
			}
			for _, file := range files {
				unix.CloseOnExec(file)
			}
			r.files = append(r.files, files...)
		}
		return n, nil
	}
}

// send writes all of b.
func send(fd int, b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		default: // nobody is there who needs to know
			return
		}
	}
}
