package policy

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// member is ada, who is in sudo, in the question whether she is to stay there.
func member() Question {
	q := ask("/", "/", "/")
	q.Kind, q.User, q.UserName = TypeLeastPrivilege, "1000", "ada"
	q.Groups, q.GroupNames = []string{"1000", "27"}, []string{"ada", "sudo"}
	return q
}

// removalBy says which policies want ada out, with this text beside the usual.
func removalBy(t *testing.T, q Question, users, more string) (enforced, monitored []string) {
	t.Helper()
	r := removal(t, q, users, more)
	return ids(r.Policies), ids(r.Monitored)
}

// removal is what policies say of ada, with this text beside the usual.
func removal(t *testing.T, q Question, users, more string) core.Removal {
	t.Helper()
	text := fmt.Sprintf(`[{"PolicyId": "p", "PolicyType": "LeastPrivilege", "UserCheck": %s, "MachineCheck": ["*"], "ApplicationCheck": []%s},
		{"PolicyId": "other", "PolicyType": "CommandLine", "UserCheck": ["*"], "MachineCheck": ["*"], "Actions": {"OnSuccess": {"Controls": ["DENY"]}}}]`, users, more)
	policies, findings := engine.Parse("l.json", []byte(text))
	if Faulty(findings) {
		t.Fatal(findings)
	}
	set, _ := engine.Compile(policies, linux())
	r := set.Removal(q)
	if says := len(r.Policies)+len(r.Monitored) > 0 || r.Doubtful; says && !set.TakesRights() {
		t.Errorf("%+v of a set that says nothing about anybody", r)
	}
	return r
}

// Whoever looks after the groups need not ask a set that never says anything about them.
func TestWhetherAPolicyIsAboutTheGroups(t *testing.T) {
	for text, want := range map[string]bool{
		`{"PolicyType": "LeastPrivilege"}`: true,
		`{"PolicyType": "LeastPrivilege", "DateCheck": [{"StartDate": "2000-01-01", "EndDate": "2000-01-02"}]}`: true, // clocks may be set
		`{"PolicyType": "LeastPrivilege", "Status": "monitor"}`:                                                 true,
		`{"PolicyType": "LeastPrivilege", "Status": "off"}`:                                                     false,
		`{"PolicyType": "PrivilegeElevation"}`:                                                                  false,
		`{"PolicyType": "LeastPriviledge"}`:                                                                     true, // nobody knows what was meant
		`[]`:                                                                                                    false,
	} {
		policies, _ := engine.Parse("l.json", []byte(text))
		if set, _ := engine.Compile(policies, linux()); set.TakesRights() != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}

func TestLeastPrivilege(t *testing.T) {
	for name, tc := range map[string]struct {
		users, more string
		enforced    bool
		monitored   bool
	}{
		"everybody":                    {`["*"]`, ``, true, false},
		"by name":                      {`["ada"]`, ``, true, false},
		"by id":                        {`["#1000"]`, ``, true, false},
		"by the group":                 {`["%sudo"]`, ``, true, false},
		"somebody else":                {`["bob"]`, ``, false, false},
		"excluded":                     {`["*"]`, `, "Extension": {"Exclusions": ["ada"]}`, false, false},
		"excluded by id":               {`["*"]`, `, "Extension": {"Exclusions": ["bob", "#1000"]}`, false, false},
		"excluded by group":            {`["*"]`, `, "Extension": {"Exclusions": ["%sudo"]}`, false, false},
		"excluded, in another case":    {`["*"]`, `, "extension": {"exclusions": ["ada"]}`, false, false},
		"another is excluded":          {`["*"]`, `, "Extension": {"Exclusions": ["bob"]}`, true, false},
		"monitored":                    {`["*"]`, `, "Status": "monitor"`, false, true},
		"off":                          {`["*"]`, `, "Status": "off"`, false, false},
		"on another day":               {`["*"]`, `, "Operator": "And", "DateCheck": [{"StartDate": "2000-01-01", "EndDate": "2000-01-02"}]`, false, false},
		"with what others know":        {`["*"]`, `, "Extension": {"Anything": {"at": ["all"]}}`, true, false},
		"with a control, as tools do":  {`["*"]`, `, "Actions": {"OnSuccess": {"Controls": ["DENY"]}}`, true, false},
		"a group that the user is not": {`["%wheel"]`, ``, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			enforced, monitored := removalBy(t, member(), tc.users, tc.more)
			if (len(enforced) > 0) != tc.enforced || (len(monitored) > 0) != tc.monitored {
				t.Errorf("enforced %q, monitored %q", enforced, monitored)
			}
			if len(enforced) > 0 && !cmp.Equal(enforced, []string{"p"}) {
				t.Errorf("by %q", enforced)
			}
		})
	}
}

// To take rights by mistake is worse than to leave them.
func TestLeastPrivilegeActsOnlyWhenCertain(t *testing.T) {
	doubtful := member()
	doubtful.Groups, doubtful.GroupNames = []string{"1000"}, []string{"ada"}
	doubtful.DoubtfulGroups, doubtful.DoubtfulGroupNames = []string{"27"}, []string{"sudo"}
	for name, tc := range map[string]struct {
		q           Question
		users, more string
	}{
		"nobody is named":                      {member(), `[]`, ``},
		"a collection that there is not":       {member(), `["Zt2kQbP0T1u8sY4mXw6vAg"]`, ``},
		"an exclusion that cannot be read":     {member(), `["*"]`, `, "Extension": {"Exclusions": ["bob", 7]}`},
		"an exclusion of nobody in particular": {member(), `["*"]`, `, "Extension": {"Exclusions": ["b*"]}`},
		"a key that is nearly Exclusions":      {member(), `["*"]`, `, "Extension": {"Exclusion": ["ada"]}`},
		"Exclusions twice":                     {member(), `["*"]`, `, "Extension": {"Exclusions": ["bob"], "exclusions": ["ada"]}`},
		"a filter job":                         {member(), `["*"]`, `, "Extension": {"CustomFilterJobId": "office-hours"}`},
		"an unknown key":                       {member(), `["*"]`, `, "OnlyOnSundays": true`},
		"a status that nobody knows":           {member(), `["*"]`, `, "Status": "enforced"`},
		"a group of which one side knows":      {doubtful, `["%sudo"]`, ``},
	} {
		if enforced, monitored := removalBy(t, tc.q, tc.users, tc.more); len(enforced)+len(monitored) > 0 {
			t.Errorf("%s: enforced %q, monitored %q", name, enforced, monitored)
		}
	}
}

// Attack: somebody whose rights were taken has the directory not answer. What may be met,
// or cannot be read with certainty, takes nobody's rights and gives nobody theirs back.
func TestWhatLeastPrivilegeMayMean(t *testing.T) {
	offline := func() Question {
		q := member()
		q.GroupsUnknown = true
		return q
	}
	for name, tc := range map[string]struct {
		q           Question
		users, more string
		doubtful    bool
	}{
		"a group that nobody can tell":        {offline(), `["%staff"]`, ``, true},
		"excluded by one that nobody can":     {offline(), `["*"]`, `, "Extension": {"Exclusions": ["%staff"]}`, true},
		"a key that is nearly another":        {member(), `["*"]`, `, "Extension": {"Exclusion": ["bob"]}`, true},
		"a group that the user is not in":     {member(), `["%staff"]`, ``, false},
		"excluded":                            {offline(), `["*"]`, `, "Extension": {"Exclusions": ["ada"]}`, false},
		"on another day, whoever that is":     {offline(), `["%staff"]`, `, "DateCheck": [{"StartDate": "2000-01-01", "EndDate": "2000-01-02"}]`, false},
		"another one, of whom all is certain": {offline(), `["bob"]`, ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := removal(t, tc.q, tc.users, tc.more)
			if len(r.Policies) > 0 || r.Doubtful != tc.doubtful {
				t.Errorf("%+v", r)
			}
		})
	}
}
