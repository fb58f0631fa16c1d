package policy

import (
	"fmt"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
)

// notCovered is what a person is told whom no policy allows what they ask.
const notCovered = "No policy allows this command for you. If you need it, ask the person who manages this machine's policies to allow it."

// refusal names the policies that refused and what to do. It never says why
// others did not match (CVE-2025-46718).
func refusal(by []core.PolicyRef) string {
	const most = 3
	text := "Policy "
	if len(by) > 1 {
		text = "Policies "
	}
	for i, ref := range by {
		if i == most {
			text += fmt.Sprintf(" and %d more", len(by)-most)
			break
		}
		if i > 0 {
			text += ", "
		}
		name := ref.Name
		if name == "" {
			name = ref.ID
		}
		text += fault.Text(name)
	}
	if len(by) > 1 {
		text += " refuse this command. If you need it, ask the person who manages this machine's policies to change them."
	} else {
		text += " refuses this command. If you need it, ask the person who manages this machine's policies to change it."
	}
	return wire.Printable(text)
}
