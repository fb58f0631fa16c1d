package sudo

import "strings"

// usage is the text of --help, with the agent root that is asked by default.
func usage(root string) string {
	return `Usage: keepersudo [-n] [-u USER] [--root DIR] [--] COMMAND [ARGUMENT...]

Runs COMMAND as root, or as USER, if policy allows it. A COMMAND with a slash
is a path; any other is looked up in the system's own directories, never in
PATH.

  -u, --user USER         run as USER, a name or #UID
  -n, --non-interactive   fail instead of asking a question
      --root DIR          the agent to ask; before KEEPER_AGENT_ROOT and
                          ` + root + `
  -h, --help              show this
  -V, --version           show the version

Examples:
  keepersudo systemctl restart cups
  keepersudo -u postgres psql
  keepersudo ./install.sh --prefix=/usr/local
  keepersudo journalctl -b | less

The status is COMMAND's own, or 128 plus the number of the signal that ended
it. Otherwise: 1 refused, expired, failed or no service; 2 not a valid request;
126 COMMAND cannot be opened; 127 no such command or user.
`
}

// options is what the command line asks for.
type options struct {
	help, version  bool // show that and do nothing else
	root           string
	user           string
	nonInteractive bool
	command        []string
}

// parse reads the command line. The first word that is no option begins the
// command; nothing after it is looked at.
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
		args = args[1:]
		name, value, given := strings.Cut(arg, "=")
		if strings.HasPrefix(arg, "-u") && len(arg) > 2 {
			name, value, given = "-u", arg[2:], true
		}
		switch name {
		case "-h", "--help":
			return &options{help: true}, nil
		case "-V", "--version":
			return &options{version: true}, nil
		case "-n", "--non-interactive":
			o.nonInteractive = true
			if given {
				return nil, misuse(name + " takes no value")
			}
		case "-u", "--user", "--root":
			if !given {
				if len(args) == 0 {
					return nil, misuse(name + " needs a value")
				}
				value, args = args[0], args[1:]
			}
			if value == "" {
				return nil, misuse(name + " needs a value")
			}
			if name == "--root" {
				o.root = value
			} else {
				o.user = value
			}
		default:
			return nil, misuse("there is no option " + name)
		}
	}
	if len(args) == 0 || args[0] == "" {
		return nil, misuse("there is no command to run")
	}
	o.command = args
	return o, nil
}

func misuse(what string) *failure {
	return &failure{exitUsage, what + "; see keepersudo --help"}
}
