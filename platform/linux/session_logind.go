//go:build linux

package linux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"kpm/core"
)

// systemBus is where the bus daemon listens (D-Bus specification, "Well-known
// Message Bus Instances"). An address in the environment is not asked.
const systemBus = "/run/dbus/system_bus_socket"

const (
	logindName    = "org.freedesktop.login1"
	logindPath    = "/org/freedesktop/login1"
	logindManager = logindName + ".Manager"
	getProperties = "org.freedesktop.DBus.Properties.GetAll"
	getProperty   = "org.freedesktop.DBus.Properties.Get"
)

// errNoLogind says that there is nobody to ask, and not that nobody answered.
var errNoLogind = errors.New("systemd-logind does not run")

// maxSessions bounds how many sessions are looked at; logind has a bound of its
// own (SessionsMax=, 8192 unless set).
const maxSessions = 8192

// logind is a connection for one question. It offers nothing to others on the bus,
// and ends with the question: a bus that hangs costs sessionTime, once.
type logind struct {
	ctx  context.Context
	end  context.CancelFunc
	conn *dbus.Conn
}

// openLogind connects. Errors wrap errNoLogind where there is no bus.
func (s Sessions) openLogind(ctx context.Context) (*logind, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", cmp.Or(s.bus, systemBus))
	if err != nil {
		cancel()
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
			err = fmt.Errorf("%w: %w", errNoLogind, err)
		}
		return nil, fmt.Errorf("system bus: %w", err)
	}
	// The handshake knows no context.
	deadline, _ := ctx.Deadline()
	err = raw.SetDeadline(deadline)
	var conn *dbus.Conn
	if err == nil {
		// No transport of the library's own: this one takes in no descriptors.
		conn, err = dbus.NewConn(raw, dbus.WithContext(ctx))
	}
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("system bus: %w", err), raw.Close())
	}
	l := &logind{ctx: ctx, end: cancel, conn: conn}
	if err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("system bus: %w", err)
	}
	return l, nil
}

func (l *logind) close() {
	l.conn.Close()
	l.end()
}

// call asks logind and nothing that would have to be started for it.
func (l *logind) call(path dbus.ObjectPath, method string, arguments ...any) *dbus.Call {
	return l.conn.Object(logindName, path).GoWithContext(l.ctx, method, dbus.FlagNoAutoStart, make(chan *dbus.Call, 1), arguments...)
}

// awaitAnswer waits for a call, which ends with its context at the latest, and
// stores what was returned.
func awaitAnswer(c *dbus.Call, values ...any) error {
	<-c.Done
	err := c.Store(values...)
	if named, ok := errors.AsType[dbus.Error](err); ok {
		switch named.Name {
		case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
			err = fmt.Errorf("%w: %w", errNoLogind, err)
		}
	}
	if err != nil {
		return fmt.Errorf("systemd-logind: %s: %w", c.Method, err)
	}
	return nil
}

// listed is a session in the answer of ListSessions (org.freedesktop.login1(5)).
type listed struct {
	ID   string
	UID  uint32
	Name string
	Seat string
	Path dbus.ObjectPath
}

// fromLogind returns people's sessions. What ends while it is asked about is
// left out.
func (s Sessions) fromLogind(ctx context.Context) ([]login, error) {
	l, err := s.openLogind(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var all []listed
	if err := awaitAnswer(l.call(logindPath, logindManager+".ListSessions"), &all); err != nil {
		return nil, err
	}
	if len(all) > maxSessions {
		return nil, fmt.Errorf("systemd-logind: %d sessions, expected at most %d", len(all), maxSessions)
	}
	// All are asked about before the first answer is waited for.
	calls := make([]*dbus.Call, len(all))
	for i, one := range all {
		calls[i] = l.call(one.Path, getProperties, logindName+".Session")
	}
	var logins []login
	for i, one := range all {
		var properties map[string]dbus.Variant
		if err := awaitAnswer(calls[i], &properties); err != nil {
			if l.ctx.Err() != nil || errors.Is(err, errNoLogind) {
				return nil, err
			}
			continue // it has ended
		}
		if found, ok := describe(one, properties); ok {
			logins = append(logins, found)
		}
	}
	return logins, nil
}

// describe says what a session is, and false for one that is not a person's or
// that ends. Of classes and types that systemd does not have yet, none is a
// person's, and none has windows.
func describe(one listed, properties map[string]dbus.Variant) (login, bool) {
	text := func(name string) string {
		value, _ := properties[name].Value().(string)
		return value
	}
	switch text("Class") {
	case "user", "user-early", "user-light", "user-early-light":
	default: // greeters, lock screens, background jobs, service managers
		return login{}, false
	}
	if !validSession(core.SessionID(one.ID)) || text("State") == "closing" {
		return login{}, false
	}
	found := login{
		Session: core.Session{ID: core.SessionID(one.ID), User: userID(one.UID)},
		display: text("Display"), opening: text("State") == "opening", // org.freedesktop.login1(5)
	}
	found.Active, _ = properties["Active"].Value().(bool)
	switch text("Type") {
	case "x11", "wayland", "mir":
		found.Graphical = true
	}
	return found, true
}

// displayOf returns the session in which a user sees windows or, without one,
// works: that of programs which belong to the user and to no session.
func (s Sessions) displayOf(ctx context.Context, user core.UserID) (core.SessionID, error) {
	uid, err := parseKernelID(string(user))
	if err != nil {
		return "", err
	}
	l, err := s.openLogind(ctx)
	if err != nil {
		return "", err
	}
	defer l.close()
	var path dbus.ObjectPath
	if err := awaitAnswer(l.call(logindPath, logindManager+".GetUser", uid), &path); err != nil {
		if named, ok := errors.AsType[dbus.Error](err); ok && named.Name == logindName+".NoSuchUser" {
			return "", nil
		}
		return "", err
	}
	var display dbus.Variant
	if err := awaitAnswer(l.call(path, getProperty, logindName+".User", "Display"), &display); err != nil {
		if named, ok := errors.AsType[dbus.Error](err); ok && named.Name == "org.freedesktop.DBus.Error.UnknownObject" {
			return "", nil // logged out since the question before
		}
		return "", err
	}
	var named struct {
		ID   string
		Path dbus.ObjectPath
	}
	if err := display.Store(&named); err != nil {
		return "", fmt.Errorf("systemd-logind: the display of user %s: %w", user, err)
	}
	if id := core.SessionID(named.ID); validSession(id) {
		return id, nil
	}
	return "", nil
}

// hasLogind reports whether logind is at work, as far as can be seen without
// asking it: the directory is its own.
func (s Sessions) hasLogind() bool {
	_, noBus := os.Stat(cmp.Or(s.bus, systemBus))
	_, noSeats := os.Stat("/run/systemd/seats")
	return noBus == nil && noSeats == nil
}
