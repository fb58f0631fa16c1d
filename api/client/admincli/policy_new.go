package admincli

import (
	"cmp"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// draft is a policy as "policy new" writes it, in the order in which people read.
type draft struct {
	PolicyID         string         `json:"PolicyId"`
	PolicyName       string         `json:"PolicyName"`
	PolicyType       string         `json:"PolicyType"`
	Status           string         `json:"Status"`
	Actions          draftActions   `json:"Actions"`
	UserCheck        []string       `json:"UserCheck"`
	MachineCheck     []string       `json:"MachineCheck"`
	ApplicationCheck []string       `json:"ApplicationCheck"`
	TargetUserCheck  []string       `json:"TargetUserCheck,omitempty"`
	Extension        map[string]any `json:"Extension,omitempty"`
}

type draftActions struct {
	OnSuccess struct {
		Controls []string `json:"Controls"`
	} `json:"OnSuccess"`
}

func newPolicyCommand(p *policies) *cobra.Command {
	var d draft
	var users, programs, commands, controls, targets, machines []string
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Write a policy",
		Long: `Write a policy to standard output, and say on standard error what lint has to say
about it. It begins as one that only monitors; --status enforce has it decide.

A command is written as it is typed; the words of one option are one command.`,
		Example: `  KeeperAdminCLI policy new restart-nginx --user %web --command "systemctl restart nginx" --control JUSTIFY
  KeeperAdminCLI policy new no-shells --user '*' --application bash --application sh --control DENY --status enforce > no-shells.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(users) == 0 || len(programs)+len(commands) == 0 {
				return errors.New("expected --user, and --command or --application: a policy that leaves them out grants nothing")
			}
			d.PolicyID, d.UserCheck, d.MachineCheck, d.TargetUserCheck = args[0], users, machines, targets
			if d.PolicyName == "" {
				d.PolicyName = args[0]
			}
			d.Actions.OnSuccess.Controls = controls
			d.PolicyType, d.ApplicationCheck = "PrivilegeElevation", append([]string{}, programs...)
			if len(commands) > 0 {
				d.PolicyType, d.Extension = "CommandLine", map[string]any{"AllowCommands": commands}
				if len(programs) == 0 {
					d.ApplicationCheck = firstWords(commands)
				}
			}
			data, err := encode(d, "  ")
			err = cmp.Or(err, cmd.Context().Err())
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(data); err != nil {
				return err
			}
			return p.remark(cmd.ErrOrStderr(), data)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&d.PolicyName, "name", "", "what people are told it is called")
	flags.StringVar(&d.Status, "status", "monitor", "off, monitor, monitor_and_notify or enforce")
	flags.StringArrayVar(&users, "user", nil, "a user, %group or *; again for more")
	flags.StringArrayVar(&targets, "target", nil, "as whom commands may run; root, if it is left out")
	flags.StringArrayVar(&machines, "machine", []string{"*"}, "a machine")
	flags.StringArrayVar(&programs, "application", nil, "a program")
	flags.StringArrayVar(&commands, "command", nil, "a command with its arguments")
	flags.StringArrayVar(&controls, "control", []string{"ALLOW"}, "ALLOW, DENY, JUSTIFY, MFA or APPROVAL")
	return cmd
}

func firstWords(commands []string) (list []string) {
	for _, c := range commands {
		if words := strings.Fields(c); len(words) > 0 {
			list = append(list, words[0])
		}
	}
	return list
}

// remark says what lint says of a policy that is in no file yet.
func (p *policies) remark(w io.Writer, data []byte) error {
	file, err := os.CreateTemp("", "policy-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	set := p.Policies(PolicyFiles{Root: p.root, Collections: p.collections, Paths: []string{file.Name()}})
	said := ""
	for _, f := range set.Review(caseTime()) {
		f.File = "the policy"
		said += f.Severity.String() + ": " + f.Error() + "\n"
	}
	_, err = io.WriteString(w, said)
	return err
}
