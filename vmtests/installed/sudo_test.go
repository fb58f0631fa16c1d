//go:build linux

package installed

import "testing"

// TestAsSudo runs the same shell scripts with sudo and with keepersudo as $E.
// What a caller sees of both is the same, except where a row says why not.
func TestAsSudo(t *testing.T) {
	const (
		signals     = "sudo ends itself by the command's signal, so that the shell speaks of it; keepersudo's status says which it was"
		descriptors = "a command always has descriptors 0 to 2, so that no file it opens takes their place"
		isolation   = "the command is a child of the service: nothing of the caller's process but what the settings' page names reaches it"
		naming      = "each kind of refusal has a status of its own (keepersudo --help)"
		noShell     = "nothing is handed to a shell that was not asked for"
		copies      = "what others than root can change runs from a private copy"
		resolved    = "the program that ran, with all links resolved"
		variables   = "docs/settings.md, \"Environment of elevated commands\""
	)
	for _, row := range []struct {
		script  string
		because string  // why sudo's outcome is another
		ours    outcome // then
	}{
		// Arguments.
		{script: `$E printf '[%s]\n' 'a b' '' '*' '$HOME' '"' '\' "$(printf '\001\n')"`},
		{script: `$E -- printf '%s' -n`},
		{script: `$E printf '%s' -u root`},
		{script: `$E -n printf x`},

		// Exit statuses and signals.
		{script: `$E true`},
		{script: `$E false`},
		{script: `$E sh -c 'exit 7'`},
		{script: `$E sh -c 'exit 255'`},
		{script: `exec 2>/dev/null; for s in HUP INT QUIT KILL PIPE ALRM TERM USR1; do $E sh -c "ulimit -c 0; kill -$s \$\$"; echo $?; done`},
		{script: `$E sh -c 'kill -TERM $$'; echo $?`, because: signals, ours: outcome{"143\n", "", 0}},
		{script: `$E sh -c 'kill -INT $$'; echo $?`},
		{script: forwarded("TERM", "")},
		{script: forwarded("HUP", "")},
		{script: forwarded("TERM", "trap 'exit 9' TERM;")},
		{script: forwarded("USR2", "trap 'exit 9' USR2;")},
		{script: `$E sh -c 'grep -E "SigBlk" /proc/self/status'`},
		{script: `trap '' INT PIPE HUP; $E sh -c 'kill -PIPE $$; echo survived'`, because: isolation, ours: outcome{"", "", 141}},

		// Standard input, output and error.
		{script: `printf 'a\nb\n' | $E cat | wc -l`},
		{script: `seq 100000 | $E cat | md5sum`},
		{script: `head -c 3000000 /dev/zero | $E cat | wc -c`},
		{script: `$E seq 100000 | head -n 1`},
		{script: `$E yes | head -n 3`},
		{script: `$E sh -c 'echo out; echo err >&2'`},
		{script: `$E sh -c 'echo out; echo err >&2' 2>&1`},
		{script: `$E sh -c 'echo out; echo err >&2' >/dev/null`},
		{script: `$E cat </etc/hostname`},
		{script: `$E wc -c </dev/null`},
		{script: "$E cat <<X\nline\nX\n"},
		{script: `{ $E head -c 4; cat; } </etc/passwd`},
		{script: `$E sh -c 'read x; echo "got $x"' </etc/passwd`},
		{script: `$E ls /proc/self/fd <&-`},
		{script: `$E cat <&-`, because: descriptors, ours: outcome{}},
		{script: `$E sh -c 'echo x; echo $? >&2' >&-`, because: descriptors, ours: outcome{"", "0\n", 0}},
		{script: `$E sh -c 'echo x >&2; echo $?' 2>&-`, because: descriptors, ours: outcome{"0\n", "", 0}},
		{script: `exec 5</etc/hostname; $E ls /proc/self/fd`},
		{script: `$E sh -c 'echo x >&3' 3>~/x; cat ~/x; rm ~/x`},
		{script: `$E sh -c 'echo hello' >~/mine; stat -c %U:%G ~/mine; cat ~/mine; rm ~/mine`},
		{script: `$E tty`},
		{script: `$E sh -c 'echo hi >/dev/tty'`},

		// The background.
		{script: `$E sh -c 'exit 3' & wait $!; echo $?`},
		{script: `$E sleep 0.05 & $E sleep 0.05 & wait; echo $?`},
		{script: `$E sh -c '(sleep 0.05; echo late) & echo started'`},
		{script: `$E sh -c '(sleep 0.05; echo late) & echo started' | cat`},

		// Directory, umask, files.
		{script: `cd /usr/share && $E pwd`},
		{script: `$E pwd`},
		{script: `mkdir ~/private && chmod 700 ~/private && cd ~/private && $E sh -c 'cd .. && pwd'; rmdir ~/private`},
		{script: `mkdir ~/d; cd ~/d; rmdir ~/d; $E true`, because: "what a policy says about a directory cannot be said about none",
			ours: outcome{"", "keepersudo: the working directory does not exist any more: change to another one\n", 2}},
		{script: `umask 000; $E sh -c umask`},
		{script: `umask 022; $E sh -c umask`},
		{script: `umask 077; $E sh -c umask`, because: isolation, ours: outcome{"0022\n", "", 0}},
		{script: `$E touch /tmp/roots; stat -c %U:%G:%a /tmp/roots; $E rm /tmp/roots`},

		// Limits.
		{script: `ulimit -c 0; $E sh -c 'ulimit -c'`},
		{script: `ulimit -n 100; $E sh -c 'ulimit -n'`, because: isolation, ours: outcome{"1024\n", "", 0}},
		{script: `nice -n 15 $E nice`, because: isolation, ours: outcome{"0\n", "", 0}},

		// Who, and in which environment.
		{script: `$E id`},
		{script: `$E -u bob id`},
		{script: `$E -u nobody id`},
		{script: `$E -u '#0' id`},
		{script: `$E -u bob pwd`},
		{script: `$E -u bob sh -c 'cd && pwd'`},
		{script: `$E -u bob touch /tmp/bobs; stat -c %U:%G:%a /tmp/bobs; $E rm /tmp/bobs`},
		{script: `$E sh -c 'echo $HOME $USER $LOGNAME $SHELL $PATH'`},
		{script: `$E -u bob sh -c 'echo $HOME $USER $LOGNAME $SHELL $PATH'`},
		{script: `$E sh -c 'echo $SUDO_USER $SUDO_UID $SUDO_GID'`},
		{script: `$E sleep 0 $SUDO_COMMAND && $E /usr/bin/env | grep ^SUDO_COMMAND`},
		{script: `$E sh -c 'echo "$SUDO_COMMAND"'`, because: resolved, ours: outcome{"/usr/bin/dash -c echo \"$SUDO_COMMAND\"\n", "", 0}},
		{script: `TERM=xterm LC_ALL=C TZ=Europe/Vienna $E sh -c 'echo $TERM $LC_ALL; date +%Z'`},
		{script: `LD_PRELOAD=/x BASH_ENV=/x ENV=/x IFS=x PYTHONPATH=/x TZ=/etc/shadow $E sh -c 'echo "$LD_PRELOAD$BASH_ENV$ENV$PYTHONPATH$TZ"'`},
		{script: `$E env | cut -d= -f1 | sort | tr '\n' ' '`, because: variables,
			ours: outcome{"HOME KEEPER_REQUESTING_USER KEEPER_REQUESTING_USER_ID KEEPER_REQUEST_ID LANG LOGNAME PATH SHELL SUDO_COMMAND SUDO_GID SUDO_UID SUDO_USER TERM USER ", "", 0}},

		// Programs.
		{script: `cp /usr/bin/id ~/myid; $E ~/myid -u; $E ./myid -u; rm ~/myid`},
		{script: `printf '#!/bin/sh\necho script $1\n' >~/s; chmod 755 ~/s; $E ~/s one; $E ./s two; rm ~/s`},
		{script: `printf '#!/bin/sh\necho ${0%%/*}\n' >~/s; chmod 755 ~/s; $E ~/s; rm ~/s`, because: copies, ours: outcome{root + "/run/exec\n", "", 0}},
		{script: `printf '#!/bin/sh\necho mine\n' >~/id; chmod 755 ~/id; PATH=~:$PATH; $E id -u; rm ~/id`},
		{script: `printf 'echo no interpreter\n' >~/s; chmod 755 ~/s; $E ~/s 2>/dev/null; echo $?; rm ~/s`, because: noShell, ours: outcome{"1\n", "", 0}},
		{script: `$E no-such-program`, because: naming,
			ours: outcome{"", "keepersudo: there is no program \"no-such-program\" on the service's path: give a full path\n", 127}},
		{script: `$E ./none`, because: naming, ours: outcome{"", "keepersudo: ./none: no such file\n", 127}},
		{script: `$E /usr`, because: naming, ours: outcome{"", "keepersudo: /usr is not a regular file\n", 2}},
		{script: `$E -u nosuchuser id`, because: naming, ours: outcome{"", "keepersudo: there is no user \"nosuchuser\"\n", 127}},
		{script: `$E $E id -u 2>/dev/null; echo $?`, because: "what was elevated is nobody's administrator (decision 10)", ours: outcome{"1\n", "", 0}},
	} {
		theirs := says(t, "alice", "env", "E=sudo", "sh", "-c", row.script)
		ours := says(t, "alice", "env", "E=keepersudo", "sh", "-c", row.script)
		switch {
		case row.because == "" && ours != theirs:
			t.Errorf("%s\n\tsudo       %+v\n\tkeepersudo %+v", row.script, theirs, ours)
		case row.because != "" && ours != row.ours:
			t.Errorf("%s\n\texpected   %+v\n\tkeepersudo %+v", row.script, row.ours, ours)
		case row.because != "" && ours == theirs:
			t.Errorf("%s\n\tis the same with sudo; the row says why not: %s", row.script, row.because)
		}
	}
	verified(t)
}

// forwarded is a script that sends a signal to $E, whose command has traps, and
// prints the status. It first makes sure that $E forwards by now.
func forwarded(signal, traps string) string {
	return `exec 2>/dev/null; mkfifo ~/f
$E sh -c "trap 'touch ~alice/up' USR1; ` + traps + ` echo >~alice/f; while :; do sleep 0.01; done" & read x <~/f
until [ -e ~/up ]; do kill -USR1 $!; sleep 0.01; done
kill -` + signal + ` $!; wait $!; echo $?; $E rm ~/up; rm ~/f`
}
