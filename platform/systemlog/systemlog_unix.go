//go:build unix

package systemlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// writeTimeout bounds the wait for a log daemon that does not read.
const writeTimeout = time.Second

// maxDatagram is what log daemons take at least, in bytes.
const maxDatagram = 60 << 10

// sockets are where log daemons listen, in the order in which they are tried.
var sockets = []struct {
	path   string
	encode func(name string, facility, priority int, line string) []byte
}{
	{"/run/systemd/journal/socket", journal},
	{"/dev/log", syslog},
	{"/var/run/syslog", syslog},
}

// Log is an open log.
type Log struct {
	name     string
	facility int
	path     string
	encode   func(name string, facility, priority int, line string) []byte
	conn     *net.UnixConn
}

// Open connects to the first log daemon that there is. name is the program's, as
// lines have it.
func Open(name string) (*Log, error) { return open(name, daemons, "") }

// OpenAuthorization is Open for lines about who was let do what: they go where
// sudo's go, which not everybody may read.
func OpenAuthorization(name string) (*Log, error) { return open(name, authorization, "") }

// open looks below root, for tests.
func open(name string, facility int, root string) (*Log, error) {
	var all []error
	for _, at := range sockets {
		l := &Log{name: name, facility: facility, path: root + at.path, encode: at.encode}
		// Where there is no daemon each line asks for all of them: a socket for each
		// would be most of what that costs.
		_, err := os.Stat(l.path)
		if err == nil {
			err = l.connect()
		}
		if err == nil {
			return l, nil
		}
		all = append(all, err)
	}
	return nil, fmt.Errorf("systemlog: no log daemon: %w", errors.Join(all...))
}

func (l *Log) connect() (err error) {
	l.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: l.path, Net: "unixgram"})
	return err
}

// Write logs one line. A daemon that was restarted is connected to again.
func (l *Log) Write(level, line string) error {
	data := l.encode(l.name, l.facility, priority(level), line[:min(len(line), maxDatagram)])
	err := l.send(data)
	if err != nil {
		if again := l.connect(); again != nil {
			return errors.Join(err, again)
		}
		err = l.send(data)
	}
	return err
}

func (l *Log) send(data []byte) error {
	if l.conn == nil {
		return net.ErrClosed
	}
	err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = l.conn.Write(data)
	}
	if err != nil {
		l.conn.Close()
		l.conn = nil
	}
	return err
}

// Close ends the connection.
func (l *Log) Close() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// priority is a level's in RFC 5424, section 6.2.1.
func priority(level string) int {
	switch strings.ToLower(level) {
	case "critical":
		return 2
	case "error":
		return 3
	case "warning":
		return 4
	case "debug", "trace":
		return 7
	}
	return 6
}

// Facilities of RFC 5424, section 6.2.1.
const (
	daemons       = 3
	authorization = 10
)

// journal is an entry in journald's native protocol: a field a line, the message
// with its length, so that nothing in it is another field.
func journal(name string, facility, priority int, line string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE\n", priority, facility, name)
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(line))))
	b.WriteString(line)
	b.WriteByte('\n')
	return b.Bytes()
}

// syslog is a message as RFC 3164 has it on a local socket: without a host.
func syslog(name string, facility, priority int, line string) []byte {
	return []byte("<" + strconv.Itoa(facility*8+priority) + ">" + time.Now().Format(time.Stamp) + " " + name + ": " + line)
}

// Reads reports whether journald reads f: it says in JOURNAL_STREAM which file it reads
// (systemd.exec(5)), and a program that was started by hand below a unit has the variable
// too.
func Reads(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, is := info.Sys().(*syscall.Stat_t)
	return is && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
