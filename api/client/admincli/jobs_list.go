package admincli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func listJobsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "jobs", "/api/Jobs", "ID\tENABLED\tEVENTS\tNEXT RUN\tBY NAME\tNAME\tDETAIL", func(j view.Job) []string {
		by := "administrators"
		switch {
		case j.OwnEventsOnly:
			by = "nobody"
		case j.AllowPluginTrigger:
			by = "administrators, plugins"
		}
		return []string{j.ID, strconv.FormatBool(j.Enabled), wire.PrintableLine(strings.Join(j.Events, ", ")), local(j.NextRunAt), by, j.Name, wire.PrintableLine(j.Detail)}
	})
}
