package libpam

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/unix/pam"
)

// session opens a session, tells what it has set, and closes it when the service
// closes the connection or is gone.
func (t *transaction) session() error {
	before := limits()
	err := t.call(pam.Account, t.account(t.handle, 0))
	if err == nil {
		err = t.call("pam_setcred", t.setCred(t.handle, pam.Here.EstablishCred))
	}
	if err != nil {
		return t.end(err)
	}
	if err := t.call("pam_open_session", t.open(t.handle, 0)); err != nil {
		t.setCred(t.handle, pam.Here.DeleteCred)
		return t.end(err)
	}
	told := pam.Send(t.service, pam.Message{Kind: pam.Done, Environment: t.environment(t.handle), Limits: changed(before, limits())})
	if told == nil {
		_, told = io.Copy(io.Discard, t.service)
	}
	status := t.close(t.handle, 0)
	t.setCred(t.handle, pam.Here.DeleteCred)
	t.library.end(t.handle, status)
	return told
}

// limits are this process's resource limits, by number. Modules set those of the
// process that opens a session, and a session's programs inherit them; ours do not
// descend from this process, so they are told.
func limits() []pam.Limit {
	var all []pam.Limit
	for resource := 0; ; resource++ {
		var limit unix.Rlimit
		if unix.Prlimit(0, resource, nil, &limit) != nil {
			return all
		}
		all = append(all, pam.Limit{Resource: resource, Current: limit.Cur, Maximum: limit.Max})
	}
}

// changed are those of after that differ from before.
func changed(before, after []pam.Limit) (different []pam.Limit) {
	for i := range after {
		if after[i] != before[i] {
			different = append(different, after[i])
		}
	}
	return different
}

// environment is pam_getenvlist, freed.
func (l *library) environment(h handle) []string {
	list := l.envList(h)
	if list == nil {
		return nil
	}
	defer l.free(list)
	var all []string
	for at := list; ; at = unsafe.Add(at, unsafe.Sizeof(uintptr(0))) {
		variable := *(*unsafe.Pointer)(at)
		if variable == nil {
			return all
		}
		all = append(all, goString(variable, maxVariable))
		l.free(variable)
	}
}

// maxVariable bounds one variable, in bytes.
const maxVariable = 8 << 10
