//go:build linux

package installed

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// locking is Debian's common-auth on a machine where three wrong passwords lock an
// account, as pam_faillock(8) shows it.
const locking = `auth required pam_faillock.so preauth silent deny=3 unlock_time=600
auth [success=1 default=bad] pam_unix.so nodelay
auth [default=die] pam_faillock.so authfail deny=3 unlock_time=600
auth sufficient pam_faillock.so authsucc deny=3 unlock_time=600
`

// TestReauthentication: the machine's own PAM says who somebody is, by the file that
// the package brings.
func TestReauthentication(t *testing.T) {
	build := exec.CommandContext(t.Context(), "go", "build", "-o", box.Root+"/opt/asks", "./asks")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for person, secret := range map[string]string{"alice": "alices-own-1", "bob": "bobs-own-2"} {
		run(t, "sh", "-c", "echo "+person+":"+secret+" | chpasswd")
	}
	common, err := os.ReadFile(box.Root + "/etc/pam.d/common-auth")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(box.Root+"/etc/pam.d/common-auth", common, 0o644); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []struct {
		do      []string // by root, before
		person  string
		entered string
		says    string
	}{
		{nil, "alice", "alices-own-1", "it is they\n"},
		{nil, "bob", "bobs-own-2", "it is they\n"},
		{nil, "alice", "bobs-own-2", "it is not: "},
		{nil, "nobody", "", "it is not: "},
		{[]string{"chage", "-E", "1", "bob"}, "bob", "bobs-own-2", "they may not: "},
		{[]string{"chage", "-E", "-1", "-d", "0", "bob"}, "bob", "bobs-own-2", "they may not: "}, // must have a new one first
		{[]string{"chage", "-d", "2020-01-01", "bob"}, "bob", "bobs-own-2", "it is they\n"},
		{[]string{"passwd", "--lock", "bob"}, "bob", "bobs-own-2", "it is not: "},
		{[]string{"passwd", "--unlock", "bob"}, "bob", "bobs-own-2", "it is they\n"},
		{[]string{"sh", "-c", "printf '" + locking + "' >/etc/pam.d/common-auth"}, "alice", "wrong", "it is not: "},
		{nil, "alice", "wrong", "it is not: "},
		{nil, "alice", "wrong", "it is not: "},
		{nil, "alice", "alices-own-1", "it is not: "},
		{nil, "bob", "bobs-own-2", "it is they\n"},
		{[]string{"faillock", "--user", "alice", "--reset"}, "alice", "alices-own-1", "it is they\n"},
		{[]string{"mv", "/usr/lib/pam.d/kpm", "/opt/kpm.pam"}, "alice", "alices-own-1", "not asked: "},
		{[]string{"mv", "/opt/kpm.pam", "/usr/lib/pam.d/kpm"}, "alice", "alices-own-1", "it is they\n"},
	} {
		if step.do != nil {
			run(t, step.do...)
		}
		cmd := box.Command(t.Context(), "/opt/asks", step.person)
		cmd.Stdin = strings.NewReader(step.entered + "\n")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), step.says) {
			t.Errorf("after %v, %s enters %q: %v, %s; expected %q", step.do, step.person, step.entered, err, out, step.says)
		}
	}
	eventually(t, "no keeperpam is left", func() bool {
		_, err := box.Run(t.Context(), "pgrep", "-x", "keeperpam")
		return err != nil
	})
}
