//go:build linux || darwin

package libpam

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"kpm/platform/unix/pam"
)

// Main answers the one question of the service at the connection, and returns the
// exit status. It has no other use.
func Main() int {
	service := os.NewFile(pam.Conn, "service")
	if err := Serve(service); err != nil {
		// The service knows: what it waited for did not come. Nobody else listens.
		return 1
	}
	return 0
}

// Serve answers one question. The error says why the service was told nothing.
func Serve(service io.ReadWriter) error {
	var q pam.Question
	if err := pam.Receive(service, &q); err != nil {
		return err
	}
	for _, text := range append([]string{q.User, q.Asker}, q.Environment...) {
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("%q has a NUL byte, which would cut it short", text)
		}
	}
	l, err := load()
	if err != nil {
		return pam.Send(service, pam.Message{Kind: pam.Done, Code: pam.Here.SystemErr, Text: err.Error()})
	}
	t := &transaction{library: l, service: service}
	if err := t.begin(q); err != nil {
		return t.end(err)
	}
	switch q.Kind {
	case pam.Authenticate:
		return t.end(t.authenticate())
	case pam.Session:
		return t.session()
	}
	return t.end(fmt.Errorf("%q is no question", q.Kind))
}

// transaction is PAM's, from pam_start to pam_end.
type transaction struct {
	*library
	service io.ReadWriter
	handle  handle
	failed  string // the last function that did not succeed
	status  int32  // what it returned
}

// terminal is what modules that want one are told, as cron(8) does.
const terminal = "kpm"

func (t *transaction) begin(q pam.Question) error {
	s := &speaker{library: t.library, service: t.service}
	conversation := s.conversation()
	if err := t.call("pam_start", t.start(pam.Service, q.User, unsafe.Pointer(conversation), &t.handle)); err != nil {
		return err
	}
	if err := t.call("pam_set_item PAM_TTY", t.setItem(t.handle, itemTTY, terminal)); err != nil {
		return err
	}
	if q.Asker != "" {
		if err := t.call("pam_set_item PAM_RUSER", t.setItem(t.handle, itemAsker, q.Asker)); err != nil {
			return err
		}
	}
	for _, variable := range q.Environment {
		if err := t.call("pam_putenv", t.putEnv(t.handle, variable)); err != nil {
			return err
		}
	}
	return nil
}

// call makes an error of what a function of PAM's has returned.
func (t *transaction) call(function string, status int32) error {
	if status == success {
		return nil
	}
	t.failed, t.status = function, status
	return fmt.Errorf("%s: %s", function, t.explain(t.handle, status))
}

// authenticate is what a login asks: is it they, and may they? A password that
// must be changed first is no yes.
func (t *transaction) authenticate() error {
	if err := t.call("pam_authenticate", t.library.authenticate(t.handle, 0)); err != nil {
		return err
	}
	return t.call(pam.Account, t.account(t.handle, 0))
}

// end says how it came out and ends the transaction.
func (t *transaction) end(failed error) error {
	m := pam.Message{Kind: pam.Done}
	if failed != nil {
		m.Function, m.Code, m.Text = t.failed, t.status, failed.Error()
		if m.Code == success {
			m.Code = pam.Here.SystemErr
		}
	}
	if t.handle != 0 {
		t.library.end(t.handle, m.Code)
	}
	return pam.Send(t.service, m)
}
