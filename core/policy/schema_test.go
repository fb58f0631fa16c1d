package policy

import (
	"slices"
	"testing"

	"kpm/core/controls"
	"kpm/docs/schemas/schematest"
)

type field struct {
	name   string
	schema *schematest.Schema
}

func text(description string, words ...string) *schematest.Schema {
	s := &schematest.Schema{Type: "string", Description: description}
	for _, word := range words {
		s.Enum = append(s.Enum, word)
	}
	return s
}

func listOf(description string, of *schematest.Schema) *schematest.Schema {
	return &schematest.Schema{Type: "array", Items: of, Description: description}
}

func pairOf(of *schematest.Schema, from, to string) *schematest.Schema {
	s := schematest.Object()
	s.Properties.Set(from, of)
	s.Properties.Set(to, of)
	return s
}

// objectOf is an object that takes exactly the keys that the reader knows.
func objectOf(t *testing.T, description string, known []string, fields []field) *schematest.Schema {
	s := schematest.Object()
	s.Description = description
	for _, f := range fields {
		if !slices.Contains(known, f.name) {
			t.Errorf("the reader knows no %s", f.name)
		}
		s.Properties.Set(f.name, f.schema)
	}
	for _, key := range known {
		if _, given := s.Properties.Get(key); !given {
			s.Properties.Set(key, &schematest.Schema{Description: "Read, and of no effect here."})
		}
	}
	return s
}

// TestSchema: the keys, types, controls and expressions are the reader's own
// tables.
func TestSchema(t *testing.T) {
	var types []string
	for _, kind := range Kinds() {
		types = append(types, kind.types...)
	}
	var names []string
	for _, row := range controls.Standard() {
		names = append(names, string(row.Name))
	}
	entries := func(description string) *schematest.Schema { return listOf(description, text("")) }
	number := &schematest.Schema{Type: "integer", Minimum: "0", Maximum: "6"}
	when := &schematest.Schema{OneOf: []*schematest.Schema{{Type: "string"}, {Type: "number"}}}

	list := listOf("What the policy does; a required control is asked of everyone whom the policy meets.", text("", names...))
	success := objectOf(t, "", successKeys, []field{{"Controls", list}})
	actions := objectOf(t, "What happens to what the policy meets.", actionKeys, []field{
		{"OnSuccess", success}, {"OnFailure", &schematest.Schema{Description: "Never run."}},
	})
	rule := objectOf(t, "", ruleKeys, []field{
		{"Expression", text("The filter that the rule applies.", expressions...)},
		{"RuleExpressionType", text("", "BuiltInAction")},
	})
	duration := func(description string) *schematest.Schema {
		s := text(description)
		s.Pattern = "^([0-9]+[dhms])+$"
		return s
	}
	count := &schematest.Schema{Type: "integer", Minimum: "1", Maximum: "1000"}
	grant := objectOf(t, "Under what terms what the policy asks for may be remembered.", grantKeys, []field{
		{"For", duration("For how long at most, with a unit: 30m, 2h, 1d.")},
		{"Uses", count}, {"Renewals", count},
		{"PerDay", duration("For how long within any 24 hours.")},
		{"CoolDown", duration("How long after the end of one the next may be given.")},
		{"Covers", text("The same command alone, which is so if omitted; all that the policy is about; or that, and membership in the machine's groups of administrators.", "command", "policy", "administrator")},
		{"Automatic", &schematest.Schema{Type: "boolean", Description: "true: also for those who did not ask for it by --for."}},
	})
	extension := objectOf(t, "What policies of this type have of their own.", slices.Concat(elevation{}.extension(), fileAccess{}.extension(), configuration{}.extension(), []string{"Exclusions"}, sharedKeys), []field{
		{"Exclusions", entries("Of LeastPrivilege: whom the policy leaves alone, written as in UserCheck.")},
		{"PluginName", text("Of SettingsUpdate: the plugin whose file the policy writes.")},
		{"TargetFile", text("Of SettingsUpdate, in place of PluginName: appsettings.json, Plugins/ID.json or Jobs/ID.json.")},
		{"SettingsJson", &schematest.Schema{Description: "Of SettingsUpdate: the whole file, as one string or as an object."}},
		{"JobId", text("Of JobUpdate: the job whose file the policy writes.")},
		{"JobJson", &schematest.Schema{Description: "Of JobUpdate: the whole file, as one string or as an object; not with Delete."}},
		{"Action", text("Of JobUpdate, Add, Update or Delete; of SettingsUpdate, Update.", "Add", "Update", "Delete")},
		{"AllowCommands", entries("Of CommandLine: the commands that the policy is about, each a program with its arguments.")},
		{"Folders", entries("Of FileAccess: the folders that the files lie in, at whatever depth; * stands for itself.")},
		{"EphemeralAccount", &schematest.Schema{Description: "Of PrivilegeElevation and CommandLine: true, or an object with Groups: the command runs as an account that is made for it and removed after it."}},
		{"UserSession", text("Of PrivilegeElevation and CommandLine: the command runs as whoever asks, in the login session that they ask from, or in the one that shows them windows.", "User", "UserDesktop")},
		{"CustomFilterJobId", text("A job that decides whether the policy applies: it does if the job succeeds.")},
		{"RequestedBy", listOf("Who may be behind a request.", text("", requesters(15).names()...))},
		{"ChildProcesses", text("What programs may be started by one that the policy has allowed; inherit if omitted.", childRules[:]...)},
		{"Grant", grant},
		{windowKey, objectOf(t, "When what APPROVAL asks for is given without anybody: times, days and dates as in the filters of a policy, on the clock of a zone.", windowKeys, []field{
			{"TimeZone", text("By its IANA name, such as Europe/Berlin; it must be there.")},
			{"TimeCheck", listOf("It must be there, and leave some time of the day out.", pairOf(when, "StartTime", "EndTime"))},
			{"DayCheck", listOf("Days of the week, 0 is Sunday.", number)},
			{"DateCheck", listOf("Days, both included.", pairOf(when, "StartDate", "EndDate"))},
		})},
	})
	policy := objectOf(t, "", policyKeys, []field{
		{"PolicyId", text("What refusals and the journal cite.")},
		{"PolicyName", text("Display name.")},
		{"PolicyType", text("What the policy is about.", types...)},
		{"Status", text("enforce if omitted.", "enforce", "enabled", "monitor", "monitor_and_notify", "off", "disabled")},
		{"Actions", actions},
		{"UserCheck", entries("Who asks: *, a user, #uid, %group, %#gid, or a collection. Empty: restricts everyone and grants nobody.")},
		{"MachineCheck", entries("Host names, or *.")},
		{"ApplicationCheck", entries("Programs: *, a path, a file name, either with *, a SHA-256, or a collection.")},
		{"TargetUserCheck", entries("Whom a command may run as; without it a grant means root.")},
		{"DateCheck", listOf("Days, both included.", pairOf(when, "StartDate", "EndDate"))},
		{"TimeCheck", listOf("Times of the day, the end not included.", pairOf(when, "StartTime", "EndTime"))},
		{"DayCheck", listOf("Days of the week, 0 is Sunday.", number)},
		{"CertificationCheck", entries("Signers of the program: *, a thumbprint, spki:, ca:, key:, team: or subject:.")},
		{"Operator", text("How rules combine.", "And")},
		{"Rules", listOf("Which filters apply; one that is not empty restricts with or without its rule.", rule)},
		{"Extension", extension},
		{"RiskLevel", &schematest.Schema{Type: "integer", Minimum: "0", Maximum: "100"}},
		{"Controls", list}, {"Description", text("For people.")}, {"Comment", text("For people.")},
		{"disabled", &schematest.Schema{Type: "boolean", Description: "true: the policy does nothing."}},
		{"$schema", text("Where this schema lies, for editors. The agent does not read it.")},
	})
	policy.AdditionalProperties = &schematest.Schema{Not: &schematest.Schema{}, Description: "A key that nobody knows costs the policy its grant."}
	one := &schematest.Schema{Ref: "#/$defs/policy"}
	file := &schematest.Schema{
		OneOf:       []*schematest.Schema{one, {Type: "array", Items: one}},
		Definitions: map[string]*schematest.Schema{"policy": policy},
	}
	const dir = "../../docs/schemas"
	schematest.Hold(t, dir, "policy", "Policy file", "Policies/*.json of the agent root: one policy, or a list of them.", file)
	schematest.Accept(t, dir, "policy", "a list", `[{"PolicyId": "a", "PolicyType": "CommandLine", "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}}, "DayCheck": [0]}]`)
	schematest.Refuse(t, dir, "policy", "a slip", `{"PolicyId": "a", "PolicyTyp": "CommandLine"}`)
}
