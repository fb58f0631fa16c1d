package sdk_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kpm/core/wire"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

// stage is what an example needs of a test: sdktest wants to be told when it is
// over.
type stage struct {
	testing.TB
	ends []func()
}

func (*stage) Helper()            {}
func (*stage) Fatal(args ...any)  { panic(fmt.Sprint(args...)) }
func (s *stage) Cleanup(f func()) { s.ends = append(s.ends, f) }
func (s *stage) over() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// A plugin's main is one line, os.Exit(sdk.Main(...)): Main connects, runs the
// function until SIGTERM, and its exit status says whether the agent is to start
// the plugin again.
func ExampleMain() {
	s := &stage{}
	defer s.over()
	bus := sdktest.New(s)

	status := sdk.Main(sdk.Config{ID: "MyBridge", Network: bus.Network()}, func(ctx context.Context, a *sdk.Agent) error {
		a.Logger().Info("ready")
		return nil // a plugin that stays waits for <-ctx.Done() here
	})
	fmt.Println(status)
	// Output: 0
}

// A plugin answers the commands on its topics. sdktest gives a test a bus, as here.
func ExampleAgent_Subscribe() {
	s := &stage{}
	defer s.over()
	bus := sdktest.New(s)
	answers := bus.Listen("MyBridge/Responses/+")

	ctx := context.Background()
	a, err := sdk.Start(ctx, sdk.Config{ID: "MyBridge", Network: bus.Network()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	err = a.Subscribe(ctx, "MyBridge/Commands/+", func(m sdk.Message) {
		command, err := m.Decode()
		if err != nil {
			a.Logger().Warn("not a command", "topic", m.Topic, "error", err)
			return
		}
		answer, err := wire.New("Answer", "MyBridge", strings.ToUpper(string(command.Payload)))
		if err == nil {
			err = a.Publish("MyBridge/Responses/"+m.Topic[len("MyBridge/Commands/"):], answer)
		}
		if err != nil {
			a.Logger().Error("command", "error", err)
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	command, _ := wire.New("Command", "Tester", "all well?")
	bus.Send("MyBridge/Commands/first", command)
	m := <-answers
	answer, _ := m.Decode()
	fmt.Println(m.Topic, string(answer.Payload))
	// Output: MyBridge/Responses/first "\"ALL WELL?\""
}

// A plugin reads its settings from the agent, and never from its file: what was
// stored lies over that.
func ExampleAgent_Settings() {
	s := &stage{}
	defer s.over()
	bus := sdktest.New(s)
	bus.Set("MyBridge", map[string]string{"greeting": "hello"})

	ctx := context.Background()
	a, err := sdk.Start(ctx, sdk.Config{ID: "MyBridge", Network: bus.Network()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	settings, err := a.Settings(ctx)
	fmt.Println(settings["greeting"], err)
	// Output: hello <nil>
}
