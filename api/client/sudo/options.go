package sudo

import (
	"strings"
	"time"

	"kpm/core/door"
	"kpm/core/span"
)

// usage is the text of --help, with the agent root that is asked by default.
func usage(root string) string {
	return `Usage: keepersudo [-n] [-u USER] [--for TIME] [--wait | --no-wait]
                  [--reason TEXT] [--root DIR] [--] COMMAND [ARGUMENT...]
       keepersudo -e [-n] [-u USER] [--root DIR] [--] FILE...
       keepersudo --file-access FILE [-n] [--for TIME] [--wait | --no-wait]
                  [--reason TEXT] [--root DIR]
       keepersudo -l [-U USER] [--json] [--root DIR]
       keepersudo -l [-u USER] [--json] [--root DIR] [--] COMMAND [ARGUMENT...]
       keepersudo [-n] -v | -k | -K [--root DIR]
       keepersudo -h | -V

Runs COMMAND as root, or as USER, if policy allows it. A COMMAND with a slash
is a path; any other is looked up in the system's own directories, never in
PATH.

  -u, --user USER         run as USER, a name or #UID
  -n, --non-interactive   fail instead of asking a question
      --for TIME          what policy asks for need not be asked again in this
                          terminal for so long, such as 30m or 2h, or as long
                          as policy allows if that is less
      --wait              if approvers have to be asked, wait until they have
                          decided, then run COMMAND; so it is with a terminal
      --no-wait           end instead, with status 75; run the same again once
                          it is approved. So it is with -n or without a terminal
      --reason TEXT       the reason, if policy asks for one
      --root DIR          the agent to ask; before KEEPER_AGENT_ROOT and
                          ` + root + `
  -A, --askpass, --desktop
                          ask on your desktop, if you are logged in to one; so
                          it is without a terminal
  -B, -H, -N, -S, -p TEXT
                          as for sudo, where they change nothing here: HOME is
                          USER's, and no password is asked
  -e, --edit              edit FILEs, which are there, with your own editor
                          (SUDO_EDITOR, VISUAL, EDITOR), which runs as you
      --file-access FILE  ask for access to FILE, which policy keeps you from,
                          for the time of --for, or 4h; nothing is run
  -l, --list              show what you may run, and what it will ask of you; with
                          COMMAND, what policy says about it: nothing runs, and
                          the status is 1 if it is refused
      --json              with -l: as JSON
  -U, --other-user USER   with -l: what USER may run, a name or #UID; for
                          administrators
  -v, --validate          ask now for the code that commands would ask you for
  -k, --reset-timestamp   forget at this terminal that you have entered one; with
                          COMMAND, ask for it anew
  -K, --remove-timestamp  forget it everywhere
  -h, --help              show this
  -V, --version           show the version

Other options of sudo are refused, with what to use instead.

Examples:
  keepersudo systemctl restart cups
  keepersudo -u postgres psql
  keepersudo ./install.sh --prefix=/usr/local
  keepersudo --for 30m systemctl restart cups
  keepersudo journalctl -b | less
  keepersudo --no-wait --reason "ticket 7" systemctl stop cups
  keepersudo -e /etc/hosts
  keepersudo --file-access /srv/payroll/list --for 30m

A script that others than root can change runs from a copy, which is then $0;
where it lies is in KEEPER_SCRIPT.

The status is COMMAND's own, or 128 plus the number of the signal that ended
it. Otherwise: 1 refused, expired, failed or no service; 2 not a valid request;
75 approvers have been asked, and --no-wait does not wait for them;
126 COMMAND cannot be opened; 127 no such command or user.
`
}

// options is what the command line asks for.
type options struct {
	help, version  bool // show that and do nothing else
	edit           bool // the command is files
	list, json     bool
	memory         door.MemoryAction // what becomes of what is remembered; 0 for nothing
	root           string
	user           string
	other          string // whom -l is about
	nonInteractive bool
	remember       uint32 // for how many seconds
	fileAccess     bool   // the command is a file
	desktop        bool   // ask there
	wait, noWait   bool   // for approvers; neither: if there is a terminal
	reason         string
	command        []string
}

// option is one that sudo has, or we.
type option struct {
	short   byte   // 0 if there is none
	long    string // "" if there is none
	value   bool   // it has one
	set     func(o *options, value string)
	check   func(o *options, value string) *failure // set, for what may be wrong
	instead string                                  // why it is refused, and what to use; "" if it is not
}

// all are the options. What changes nothing here has nothing to set: the
// command's HOME is always the target user's, and no password is ever asked.
var all = [...]option{
	{short: 'n', long: "--non-interactive", set: func(o *options, _ string) { o.nonInteractive = true }},
	{short: 'u', long: "--user", value: true, set: func(o *options, user string) { o.user = user }},
	{long: "--for", value: true, check: setFor},
	{long: "--file-access", value: true, check: setFile},
	{long: "--root", value: true, set: func(o *options, root string) { o.root = root }},
	{short: 'V', long: "--version", set: func(o *options, _ string) { o.version = true }},
	{short: 'h', long: "--help", set: func(o *options, _ string) { o.help = true }},
	{short: 'e', long: "--edit", set: func(o *options, _ string) { o.edit = true }},
	{short: 'l', long: "--list", set: func(o *options, _ string) { o.list = true }},
	{long: "--json", set: func(o *options, _ string) { o.json = true }},
	{short: 'A', long: "--askpass", set: func(o *options, _ string) { o.desktop = true }},
	{long: "--desktop", set: func(o *options, _ string) { o.desktop = true }},
	{long: "--wait", set: func(o *options, _ string) { o.wait = true }},
	{long: "--no-wait", set: func(o *options, _ string) { o.noWait = true }},
	{long: "--reason", value: true, set: func(o *options, reason string) { o.reason = reason }},
	{short: 'K', long: "--remove-timestamp", set: func(o *options, _ string) { o.memory = door.ForgetAll }},
	{short: 'k', long: "--reset-timestamp", set: func(o *options, _ string) { o.memory = door.Forget }},
	{short: 'v', long: "--validate", set: func(o *options, _ string) { o.memory = door.Validate }},

	{short: 'B', long: "--bell"},
	{short: 'H', long: "--set-home"},
	{short: 'N', long: "--no-update"},
	{short: 'S', long: "--stdin"},
	{short: 'p', long: "--prompt", value: true},
	{short: 'U', long: "--other-user", value: true, set: func(o *options, user string) { o.other = user }},

	{short: 'b', long: "--background", instead: "let your shell do it: keepersudo COMMAND &"},
	{short: 'C', long: "--close-from", value: true, instead: "leave it out: no descriptor but 0, 1 and 2 reaches the command"},
	{short: 'D', long: "--chdir", value: true, instead: "change the directory first: cd DIR && keepersudo COMMAND"},
	{short: 'E', long: "--preserve-env", instead: "name the variables that the command needs: keepersudo env NAME=VALUE COMMAND"},
	{short: 'g', long: "--group", value: true, instead: "name a user who is in the group: keepersudo -u USER COMMAND"},
	{long: "--host", value: true, instead: "run keepersudo there: ssh HOST keepersudo COMMAND"},
	{short: 'i', long: "--login", instead: "name the shell: keepersudo -u USER bash -l"},
	{short: 'P', long: "--preserve-groups", instead: "leave it out: a command has the groups of the user that it runs as"},
	{short: 'R', long: "--chroot", value: true, instead: "use chroot: keepersudo chroot DIR COMMAND"},
	{short: 'r', long: "--role", value: true, instead: "use runcon: keepersudo runcon -r ROLE COMMAND"},
	{short: 's', long: "--shell", instead: "name the shell: keepersudo bash"},
	{short: 'T', long: "--command-timeout", value: true, instead: "use timeout: keepersudo timeout SECONDS COMMAND"},
	{short: 't', long: "--type", value: true, instead: "use runcon: keepersudo runcon -t TYPE COMMAND"},
}

// parse reads the command line as getopt_long(3) does for sudo. The first word
// that is no option begins the command; nothing after it is looked at.
func parse(args []string) (*options, *failure) {
	o := &options{}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			args = args[1:]
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			break
		}
		var err *failure
		if args = args[1:]; arg[1] == '-' {
			args, err = o.long(arg, args)
		} else {
			args, err = o.cluster(arg[1:], args)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case o.help && arg == "-h" && len(args) > 0:
			// sudo's -h HOST: to show help and to run nothing would look like
			// success.
			return nil, refused("-h", "it shows help if nothing follows; for another machine, run keepersudo there: ssh HOST keepersudo COMMAND")
		case o.help || o.version:
			return &options{help: o.help, version: o.version}, nil
		}
	}
	switch {
	case o.fileAccess && (o.edit || o.list || o.user != "" || o.memory != 0 && o.memory != door.Forget):
		return nil, misuse("--file-access does not go with -e, -l, -u, -v or -K")
	case o.fileAccess && len(args) > 0:
		return nil, misuse("--file-access FILE runs nothing: leave " + args[0] + " out")
	case o.fileAccess && o.json:
		return nil, misuse("--json is for -l")
	case o.fileAccess && o.wait && o.noWait:
		return nil, misuse("--wait and --no-wait exclude each other")
	case o.fileAccess:
		return o, nil
	case o.edit && o.list:
		return nil, misuse("-e and -l do not go together")
	case o.edit && (len(args) == 0 || args[0] == ""):
		return nil, misuse("there is no file to edit")
	case o.edit && (o.wait || o.noWait || o.reason != ""):
		return nil, misuse("--wait, --no-wait and --reason are for a command, and not for -e")
	case o.edit:
		o.command = args
		return o, nil
	case o.other != "" && !o.list:
		return nil, misuse("-U is for -l")
	case o.json && !o.list:
		return nil, misuse("--json is for -l")
	case o.wait && o.noWait:
		return nil, misuse("--wait and --no-wait exclude each other")
	case o.list && len(args) > 0 && o.other != "":
		return nil, refused("-U with a COMMAND", "ask policy: KeeperAdminCLI policy explain --user "+o.other+" COMMAND")
	case o.list && o.remember > 0:
		return nil, refused("-l with --for", "leave it out: -l shows how long policy lets something be remembered")
	case o.list && o.user != "" && len(args) == 0:
		return nil, refused("-l with -u", "leave it out: -l shows for whom each command may run")
	case o.list && len(args) == 0 || o.memory != 0 && len(args) == 0:
		return o, nil
	case o.memory == door.Validate || o.memory == door.ForgetAll:
		return nil, refused("-v or -K with a COMMAND", "give them alone; with a COMMAND, -k asks anew")
	case len(args) == 0 || args[0] == "":
		return nil, misuse("there is no command to run")
	}
	if name, _, isAssignment := strings.Cut(args[0], "="); isAssignment && isVariable(name) {
		return nil, refused(args[0], "variables are set by env: keepersudo env "+name+"=VALUE COMMAND")
	}
	o.command = args
	return o, nil
}

// cluster reads the options of one word, of which the last may have a value, as
// its rest or as the next word.
func (o *options) cluster(word string, args []string) ([]string, *failure) {
	for ; word != ""; word = word[1:] {
		name, found := "-"+word[:1], (*option)(nil)
		for i := range all {
			if all[i].short == word[0] {
				found = &all[i]
			}
		}
		if found == nil {
			return nil, misuse("there is no option " + name)
		}
		if !found.value {
			if err := o.apply(found, name, ""); err != nil {
				return nil, err
			}
			continue
		}
		return o.take(found, name, word[1:], word[1:] != "", args)
	}
	return args, nil
}

// long reads --NAME or --NAME=VALUE, where NAME may be cut short as long as it
// means one option alone.
func (o *options) long(word string, args []string) ([]string, *failure) {
	name, value, given := strings.Cut(word, "=")
	var found *option
	for i := range all {
		switch candidate := &all[i]; {
		case candidate.long == name:
			found = candidate
		case name == "--" || !strings.HasPrefix(candidate.long, name) || found != nil && found.long == name:
			continue
		case found != nil:
			return nil, misuse(name + " may be " + found.long + " or " + candidate.long)
		default:
			found = candidate
		}
	}
	if found == nil {
		return nil, misuse("there is no option " + name)
	}
	name = found.long
	if !found.value && !(given && found.instead != "") {
		if given {
			return nil, misuse(name + " takes no value")
		}
		return args, o.apply(found, name, "")
	}
	return o.take(found, name, value, given, args)
}

// take applies an option with its value, which is the next word if none is
// given.
func (o *options) take(found *option, name, value string, given bool, args []string) ([]string, *failure) {
	if found.instead == "" && !given {
		if len(args) == 0 {
			return nil, misuse(name + " needs a value")
		}
		value, args = args[0], args[1:]
	}
	if value == "" && (found.set != nil || found.check != nil) {
		return nil, misuse(name + " needs a value")
	}
	return args, o.apply(found, name, value)
}

func (o *options) apply(found *option, name, value string) *failure {
	if found.instead != "" {
		return refused(name, found.instead)
	}
	if found.check != nil {
		return found.check(o, value)
	}
	if found.set != nil {
		found.set(o, value)
	}
	return nil
}

// setFor reads --for.
func setFor(o *options, value string) *failure {
	d, err := span.Parse(value)
	if err != nil {
		return misuse("--for " + value + " is " + err.Error())
	}
	o.remember = uint32(d / time.Second)
	return nil
}

// isVariable reports whether a shell would take name for that of a variable.
func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		if !(c >= 'a' && c <= 'z' || name[i] == '_' || i > 0 && name[i] >= '0' && name[i] <= '9') {
			return false
		}
	}
	return name != ""
}

// refused is the failure of what sudo knows and keepersudo does not.
func refused(what, instead string) *failure {
	return misuse(what + " is not possible here: " + instead)
}

func misuse(what string) *failure {
	return &failure{exitUsage, what + "; see keepersudo --help"}
}
