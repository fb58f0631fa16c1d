package plugins

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/view"
)

// A part of the agent's own program is supervised like a program.
func TestAPartOfTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		part := `"executablePath": "", "pluginType": "Service"`
		file := strings.Replace(manifest("Part", supervised), `"pluginType": "Executable", "executablePath": "bin/Part/Part"`, part, 1)
		o, _ := newTest(t, map[string]string{"Part": file, "Nobody": strings.ReplaceAll(file, `"Part`, `"Nobody`)})
		runs := 0
		o.cfg.InProcess = map[string]Service{"Part": func(ctx context.Context) error {
			switch runs++; runs {
			case 1:
				return errors.New("no such device")
			case 2:
				panic("index out of range")
			}
			<-ctx.Done()
			return nil
		}}
		if _, err := o.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		h, err := o.Health("Part")
		if err != nil || h.Status != view.Healthy || h.Restarts != 2 || h.LastExit != "panic: index out of range" {
			t.Errorf("%+v, %v", h, err)
		}
		if s := status(t, o, "Nobody"); s.Status != view.Stopped || !strings.Contains(s.Detail, "this agent has no part of that id") {
			t.Errorf("%+v", s)
		}
		if err := o.StopPlugin(context.Background(), "Part"); err != nil || runs != 3 {
			t.Errorf("%v, ran %d times", err, runs)
		}
		err = o.StartPlugin(context.Background(), "Part")
		synctest.Wait()
		if err != nil || runs != 4 {
			t.Errorf("%v, ran %d times", err, runs)
		}
		stopAll(t, o)
	})
}
