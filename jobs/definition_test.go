package jobs

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/fault"
	"kpm/jobs/task"
	"kpm/settings"
)

// published is the shape of the published root and task objects.
const published = `{
"id": "my-tool", "name": "My tool", "description": "SCENARIO: every hour", "enabled": true, "priority": 7,
"events": [{"eventType": "Startup"}, {"eventType": "Custom", "customEvent": "ShowAgent"}],
"eventTopic": "Jobs/my-tool/events",
"mqttTopics": {"allowedPublications": ["KeeperLogger", "Jobs/my-tool/events"], "allowedSubscriptions": []},
"parameters": [{"name": "Depth", "type": "integer", "default": 3}, {"name": "Scope", "type": "string", "required": true}],
"osFilter": {"windows": false, "linux": true, "macOS": false}, "condition": {}, "alternateJobId": null, "schedule": {},
"tasks": [
{"id": "run-tool", "name": "Run tool", "ExecutionType": "Service", "command": "mytool",
"executablePath": "/opt/KeeperPrivilegeManager/Jobs/bin/mytool/mytool", "arguments": "--keeper-api-base={KeeperApiBaseUrl}",
"timeoutSeconds": 3600, "continueOnFailure": false, "scriptType": "Auto", "OnFailure": "tell"},
{"id": "tell", "executionType": "Http", "command": "", "url": "https://hooks.example.com/a?job={JobId}", "method": "POST", "headers": {"X-Kind": "{Scope}"}, "body": {"n": "{Depth}"}}
]}`

func compileText(t testing.TB, fileID, text string) (*job, error) {
	t.Helper()
	doc, err := settings.ParseDocument("Jobs/"+fileID+".json", []byte(text))
	if err != nil {
		return nil, err
	}
	kinds := task.Bundled(task.Config{Platform: core.Linux, Layout: settings.At("/agent", ""), Commands: task.Commands{"echo": task.Echo}})
	c := compiler{platform: "Linux", kinds: kinds, names: namesOf(kinds)}
	return c.compile(fileID, doc)
}

func TestCompileReadsThePublishedShape(t *testing.T) {
	j, err := compileText(t, "my-tool", published)
	if err != nil {
		t.Fatal(err)
	}
	if j.disabled != "" || j.note != "" || j.priority != 7 || len(j.tasks) != 2 || len(j.parameters) != 2 {
		t.Errorf("got %+v", j)
	}
	if want := []string{"ShowAgent", "Startup"}; !slices.Equal(j.events, want) {
		t.Errorf("events %v, want %v", j.events, want)
	}
	if want := []string{"KeeperLogger", "Jobs/my-tool/events"}; !slices.Equal(j.publish, want) {
		t.Errorf("publishes %v, want %v", j.publish, want)
	}
	if first := j.tasks[0]; first.onFailure != 1 || first.onSuccess != routeNext || first.timeout.Seconds() != 3600 {
		t.Errorf("first task %+v", first)
	}
}

func TestWhatKeepsASoundJobFromRunning(t *testing.T) {
	for _, tc := range []struct{ name, old, new, disabled, note string }{
		{"nothing", `"enabled": true`, `"enabled": true, "future": [1]`, "", ""},
		{"enabled: false", `"enabled": true`, `"enabled": false`, "its file says enabled: false", ""},
		{"a condition", `"condition": {}`, `"condition": {"expression": "x"}`, "", ""},
		{"a task's condition", `"scriptType": "Auto"`, `"Condition": "x"`, "", ""},
		{"enabled missing", `"enabled": true,`, ``, "", ""},
		{"name missing", `"name": "My tool",`, ``, "", ""},
		{"an event type in another case", `"eventType": "Startup"`, `"EVENTTYPE": "startup"`, "", ""},
		{"an eventTopic that is not to be published", `, "Jobs/my-tool/events"`, ``, "", "its tasks may not publish on its eventTopic: mqttTopics.allowedPublications does not list Jobs/my-tool/events"},
		{"a field that is misspelt", `"scriptType": "Auto"`, `"scripttipe": "Auto", "timeoutSecond": 5, "owner": "ann", "ids": 1`, "", "tasks[0].scripttipe is ignored: is scriptType meant?; tasks[0].timeoutSecond is ignored: is timeoutSeconds meant?"},
		{"a schedule that is misspelt", `"schedule": {}`, `"schdule": {}, "schedule": {"intervalMinutes": 5, "timezones": "UTC"}`, "", "schdule is ignored: is schedule meant?; schedule.timezones is ignored: is timeZone meant?"},
		{"another platform", `"linux": true`, `"linux": false`, "its osFilter leaves out Linux", ""},
		{"only another platform named", `"windows": false, "linux": true, "macOS": false`, `"Windows": true`, "its osFilter leaves out Linux", ""},
		{"only another platform excluded", `"windows": false, "linux": true, "macOS": false`, `"windows": false`, "", ""},
		{"a schedule", `"schedule": {}`, `"schedule": {"intervalMinutes": 5}`, "", ""},
		{"no schedule", `"schedule": {}`, `"schedule": null`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(published, tc.old, tc.new, 1)
			if text == published {
				t.Fatal("the case changes nothing")
			}
			j, err := compileText(t, "my-tool", text)
			if err != nil || j.disabled != tc.disabled || j.note != tc.note {
				t.Errorf("got %+v, %v", j, err)
			}
		})
	}
}

func TestCompileNamesTheFault(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"id of another file", `"id": "my-tool"`, `"id": "other"`, `id is "other", expected the file's name without .json, "my-tool"`},
		{"no id", `"id": "my-tool", "name": "My tool",`, ``, `id is missing, expected the file's name without .json, "my-tool"`},
		{"id with an underscore", `"id": "my-tool"`, `"id": "my_tool"`, `id is "my_tool", expected 1 to 64 letters, digits, dots and hyphens`},
		{"name of two lines", `"name": "My tool"`, `"name": "a\nb"`, "on one line"},
		{"name with NUL", `"name": "My tool"`, `"name": "a\u0000b"`, "on one line"},
		{"enabled as text", `"enabled": true`, `"enabled": "no"`, "enabled is text, expected true or false"},
		{"priority", `"priority": 7`, `"priority": 11`, "priority is 11, expected 1 to 10"},
		{"event type", `"eventType": "Startup"`, `"eventType": "Boot"`, `events[0].eventType is "Boot"`},
		{"event name missing", `, "customEvent": "ShowAgent"`, ``, "events[1].customEvent is missing"},
		{"a control job with another trigger", `"customEvent": "ShowAgent"`, `"customEvent": "PolicyEvaluationPending"`, `events[0] is "Startup", expected no other event beside PolicyEvaluationPending`},
		{"a launch job with another trigger", `"customEvent": "ShowAgent"`, `"customEvent": "LaunchPrivilegeElevation"`, `events[0] is "Startup", expected no other event`},
		{"topic", `"KeeperLogger"`, `"$SYS/x"`, `mqttTopics.allowedPublications[0] is "$SYS/x"`},
		{"event topic", `"eventTopic": "Jobs/my-tool/events"`, `"eventTopic": "#"`, `eventTopic is "#"`},
		{"parameter name", `"name": "Depth"`, `"name": "De pth"`, "parameters[0].name"},
		{"parameter that is the agent's", `"name": "Depth"`, `"name": "keeperapibaseurl"`, "not one of the agent's own tokens"},
		{"parameter type", `"type": "integer"`, `"type": "uuid"`, `parameters[0].type is "uuid"`},
		{"parameter default", `"default": 3`, `"default": "three"`, "parameters[0].default is of another type, expected a value of type integer"},
		{"platform", `"windows": false`, `"beos": false`, "osFilter.beos is not a platform"},
		{"no tasks", published[strings.Index(published, `"tasks"`):], `"tasks": []}`, "tasks is a list of 0, expected 1 to 256 tasks"},
		{"task id missing", `"id": "run-tool",`, ``, "tasks[0].id is missing"},
		{"task id twice", `"id": "tell"`, `"id": "run-tool"`, "tasks[1].id is given twice"},
		{"task called stop", `"id": "run-tool"`, `"id": "Stop"`, `tasks[0].id is "Stop"`},
		{"route", `"OnFailure": "tell"`, `"OnFailure": "nobody"`, `tasks[0].OnFailure is "nobody", expected the id of a task of this job, or "stop"`},
		{"timeout", `"timeoutSeconds": 3600`, `"timeoutSeconds": 0`, "tasks[0].timeoutSeconds is 0, expected 1 to 86400"},
		{"timeout that overflows", `"timeoutSeconds": 3600`, `"timeoutSeconds": 18446744074`, "tasks[0].timeoutSeconds is 18446744074, expected 1 to 86400"},
		{"execution type", `"ExecutionType": "Service"`, `"ExecutionType": "Kernel"`, `tasks[0].ExecutionType is "Kernel"`},
		{"command missing", `"command": "mytool",`, ``, "tasks[0].command is missing"},
		{"command with a path", `"command": "mytool"`, `"command": "../mytool"`, `tasks[0].command is "../mytool"`},
		{"command that leads upwards", `"command": "mytool"`, `"command": ".."`, `tasks[0].command is ".."`},
		{"relative executable", `"/opt/KeeperPrivilegeManager/Jobs`, `"Jobs`, "expected an absolute path"},
		{"executable from the context", `"/opt/KeeperPrivilegeManager/Jobs`, `"/opt/{UserName}/Jobs`, "tasks[0].executablePath is {UserName}, expected {approot}, {pluginroot}, {jobroot} or another path variable of this system"},
		{"open quote", `"--keeper-api-base={KeeperApiBaseUrl}"`, `"it's"`, "tasks[0].arguments is a ' without its partner"},
		{"gate", `"scriptType": "Auto"`, `"SkipWhenPluginSettingFalse": "redirect.enabled"`, `tasks[0].SkipWhenPluginSettingFalse is "redirect.enabled", expected a plugin and its setting`},
		{"method", `"method": "POST"`, `"method": "CONNECT"`, `tasks[1].method is "CONNECT"`},
		{"success code", `"method": "POST"`, `"successCodes": [200, 42]`, "tasks[1].successCodes[1] is 42"},
		{"a reserved id", `"id": "my-tool"`, `"id": "reload"`, "expected a name that is no word of the API's paths: runs, reload, validate"},
		{"interval", `"schedule": {}`, `"schedule": {"intervalMinutes": 0}`, "schedule.intervalMinutes is 0, expected 1 to"},
		{"two schedules", `"schedule": {}`, `"schedule": {"intervalMinutes": 5, "runAt": "2026-12-24T18:00:00Z"}`, "schedule is an object with 2 of them, expected exactly one of"},
		{"no schedule of ours", `"schedule": {}`, `"schedule": {"cron": "* * * * *"}`, "schedule is an object with 0 of them"},
		{"cron", `"schedule": {}`, `"schedule": {"cronExpression": "61 * * * *"}`, "schedule.cronExpression is"},
		{"a date that there is not", `"schedule": {}`, `"schedule": {"cronExpression": "0 0 30 2 *"}`, "schedule is a time that never comes"},
		{"time zone", `"schedule": {}`, `"schedule": {"cronExpression": "0 0 1 2 *", "timeZone": "Mars/Base"}`, `schedule.timeZone is "Mars/Base"`},
		{"condition", `"condition": {}`, `"condition": {"all": [{"field": "x", "operator": "is"}]}`, "condition.all[0].operator is"},
		{"a task's condition", `"scriptType": "Auto"`, `"condition": "x =="`, "tasks[0].condition is"},
		{"an alternate without a condition", `"alternateJobId": null`, `"alternateJobId": "other"`, "alternateJobId is given without a condition"},
		{"concurrency", `"schedule": {}`, `"concurrency": "never"`, `concurrency is "never", expected "allow", "queue", "skip" or "replace"`},
		{"attempts", `"scriptType": "Auto"`, `"retry": {"attempts": 100}`, "tasks[0].retry.attempts is 100, expected 1 to 20"},
		{"delay", `"scriptType": "Auto"`, `"retry": {"attempts": 2, "delaySeconds": -1}`, "tasks[0].retry.delaySeconds is -1"},
		{"script type", `"scriptType": "Auto"`, `"scriptType": "Cobol"`, "tasks[0].scriptType is"},
		{"allowed request", `"priority": 7`, `"allowedRequests": ["POST /api/Jobs/*/run"]`, `allowedRequests[0] is "POST /api/Jobs/*/run"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(published, tc.old, tc.new, 1)
			if text == published {
				t.Fatal("the case changes nothing")
			}
			_, err := compileText(t, "my-tool", text)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "Jobs/my-tool.json") {
				t.Errorf("got %v\nwant ... %s", err, tc.want)
			}
		})
	}
}

// What is wrong says where it is: at the value, or at the object that lacks it.
func TestCompileSaysWhere(t *testing.T) {
	text := `{
  "id": "my-tool",
  "name": "My Tool",
  "enabled": true,
  "priority": 11,
  "tasks": [
    {"id": "a", "command": "echo",
     "OnFailure": "b"},
    {"id": "c"}
  ]
}`
	_, err := compileText(t, "my-tool", text)
	var faults fault.List
	if !errors.As(err, &faults) {
		t.Fatalf("%v, expected a list of faults", err)
	}
	found := map[string]int{}
	for _, f := range faults {
		found[f.Field] = f.Line
	}
	want := map[string]int{"priority": 5, "tasks[0].OnFailure": 8, "tasks[1].command": 9}
	if !maps.Equal(found, want) {
		t.Errorf("%v, expected %v", found, want)
	}
}

// Attack: a job named after the service or a user would own their reply topics.
func TestCompileRefusesNamesOfOthers(t *testing.T) {
	for _, id := range []string{"KeeperPrivilegeManager", "user-1000", "Admin-0"} {
		if _, err := compileText(t, id, strings.Replace(published, `"my-tool"`, `"`+id+`"`, 1)); err == nil || !strings.Contains(err.Error(), "not the service's or a user's own") {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

// FuzzJob: whatever the bytes, a job that compiles has routes inside its task
// list, and only service events beside service events.
func FuzzJob(f *testing.F) {
	f.Add([]byte(published))
	f.Add([]byte(`{}`))
	f.Add([]byte(strings.Replace(published, `"ShowAgent"`, `"LaunchPrivilegeElevation"`, 1)))
	f.Add([]byte(jobJSON("my-tool", `{"id": "a", "command": "echo", "parameters": {"a": "{B}"}, "OnSuccess": "stop"}`, onLaunch)))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := compileText(t, "my-tool", string(data))
		if err != nil {
			return
		}
		own := 0
		for _, e := range j.events {
			if requestEvent(e) {
				own++
			}
		}
		if j.id != "my-tool" || own != 0 && own != len(j.events) {
			t.Fatalf("%s passed as %+v", data, j)
		}
		for _, step := range j.tasks {
			if step.task == nil || max(step.onSuccess, step.onFailure) >= len(j.tasks) || min(step.onSuccess, step.onFailure) < routeFail || step.timeout <= 0 {
				t.Fatalf("%s passed with task %+v", data, step)
			}
		}
	})
}
