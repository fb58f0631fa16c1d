package admincli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/policy"
)

// listed is a policy as "policy list --json" has it.
type listed struct {
	ID       string         `json:"policy"`
	Name     string         `json:"name,omitempty"`
	Type     string         `json:"type"` // as it is written
	Known    bool           `json:"known"`
	Status   policy.Status  `json:"status"`
	Controls []core.Control `json:"controls"`
	Users    []string       `json:"users"`
	Programs []string       `json:"applications"`
	File     string         `json:"file"`
	Index    int            `json:"index"`
	written  []byte
}

func listPoliciesCommand(p *policies) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List policies",
		Long:    "List policies, those of unknown types and those that are off included. The exit\nstatus is 1 if the service does not use a file as it is.",
		Example: "  KeeperAdminCLI policy list\n  KeeperAdminCLI policy list --json --policies new/",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.read(cmd.Context())
			if err != nil {
				return err
			}
			list := make([]listed, 0, len(set.Policies()))
			rows := [][]string{strings.Split("ID\tSTATUS\tTYPE\tCONTROLS\tUSERS\tAPPLICATIONS\tFILE", "\t")}
			for _, policy := range set.Policies() {
				l := listedOf(policy)
				list = append(list, l)
				rows = append(rows, []string{l.ID, string(l.Status), l.Type, join(l.Controls), strings.Join(l.Users, " "), strings.Join(l.Programs, " "), l.File})
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), list)
			} else {
				err = printTable(cmd.OutOrStdout(), rows)
			}
			return cmp.Or(err, unread(cmd, set.Review(time.Now())))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func listedOf(p policy.Policy) listed {
	l := listed{
		ID: p.ID, Name: p.Name, Type: p.Type, Known: p.Type != "", Status: p.Status, Controls: p.Controls,
		Users: append([]string{}, p.Users...), Programs: append([]string{}, p.Applications...), File: p.File, Index: p.Index, written: p.Written(),
	}
	if l.Controls == nil {
		l.Controls = []core.Control{}
	}
	if !l.Known {
		var written struct{ PolicyType any }
		if json.Unmarshal(p.Written(), &written) == nil && written.PolicyType != nil {
			l.Type = fmt.Sprint(written.PolicyType)
		}
	}
	return l
}

func join(controls []core.Control) string {
	words := make([]string, len(controls))
	for i, c := range controls {
		words[i] = string(c)
	}
	return strings.Join(words, " ")
}

// shown is a policy as "policy show --json" has it.
type shown struct {
	listed
	// Written is the policy as it stands in its file.
	Written  json.RawMessage  `json:"written"`
	Findings []policy.Finding `json:"findings"`
}

func showPolicyCommand(p *policies) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a policy as it is written, and what there is to say about it",
		Example: "  KeeperAdminCLI policy show restart-nginx\n  KeeperAdminCLI policy show restart-nginx --json --policies new.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.read(cmd.Context())
			if err != nil {
				return err
			}
			list := []shown{}
			findings := set.Review(time.Now())
			for _, policy := range set.Policies() {
				if policy.ID == args[0] {
					list = append(list, shown{listedOf(policy), policy.Written(), of(policy, findings)})
				}
			}
			if len(list) == 0 {
				if err := unread(cmd, findings); err != nil { // it may be there
					return err
				}
				return fmt.Errorf("there is no policy %q; policy list shows which there are", args[0])
			}
			if asJSON { // two policies may have one id
				return printJSON(cmd.OutOrStdout(), list)
			}
			for _, s := range list {
				if err := line(cmd.OutOrStdout(), "%s, policy %d of the file:", s.File, s.Index+1); err != nil {
					return err
				}
				for text := range strings.Lines(string(s.Written)) {
					if err := line(cmd.OutOrStdout(), "%s", strings.ReplaceAll(strings.TrimRight(text, "\r\n"), "\t", "    ")); err != nil {
						return err
					}
				}
				if err := printFindings(cmd.OutOrStdout(), set, s.Findings, false); len(s.Findings) > 0 && err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// of are the findings about one policy.
func of(p policy.Policy, findings []policy.Finding) []policy.Finding {
	list := []policy.Finding{}
	for _, f := range findings {
		if f.File == p.File && f.Index == p.Index {
			list = append(list, f)
		}
	}
	return list
}
