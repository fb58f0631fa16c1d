package admincli

import (
	"strconv"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func listJobsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "jobs", "/api/Jobs", "ID\tENABLED\tSTARTED BY\tNAME\tDETAIL", func(j view.Job) []string {
		by := "administrators"
		switch {
		case j.OwnEventsOnly:
			by = "its events"
		case j.AllowPluginTrigger:
			by = "administrators, plugins"
		}
		return []string{j.ID, strconv.FormatBool(j.Enabled), by, j.Name, wire.PrintableLine(j.Detail)}
	})
}
