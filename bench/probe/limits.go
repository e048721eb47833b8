package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// group is a control group that processes are put into. Version 1 and 2 of the
// interface are both served.
type group struct {
	path  string
	tasks string
}

// newGroup makes a group of the given controller and writes the settings, by
// version 1 names or, where the system has version 2, by the others.
func newGroup(controller string, v1, v2 map[string]string) (*group, error) {
	name := "hardstand-bench-" + strconv.Itoa(os.Getpid()) + "-" + controller
	root, settings, tasks := "/sys/fs/cgroup/"+controller, v1, "tasks"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, settings, tasks = "/sys/fs/cgroup", v2, "cgroup.procs"
	}
	g := &group{path: filepath.Join(root, name)}
	g.tasks = filepath.Join(g.path, tasks)
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	for file, value := range settings {
		if err := os.WriteFile(filepath.Join(g.path, file), []byte(value), 0o644); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	return g, nil
}

func (g *group) remove() error {
	var err error
	for range 50 {
		if err = os.Remove(g.path); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// runIn runs argv in the group: a shell puts itself there and becomes argv.
func (g *group) runIn(argv []string) (sample, error) {
	script := fmt.Sprintf(`echo $$ >%s && exec "$@"`, g.tasks)
	return once(append([]string{"/bin/sh", "-c", script, "sh"}, argv...), nil)
}

// slowTime measures argv at a hundredth of a CPU, "10m" to Kubernetes: 1 ms of
// every 100. The thread that forks is in the group, so that the time runs from
// the fork; the median of n counts.
func slowTime(argv []string, n int) (float64, error) {
	g, err := newGroup("cpu",
		map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "1000"},
		map[string]string{"cpu.max": "1000 100000"})
	if err != nil {
		return 0, err
	}
	var walls []float64
	for range n {
		time.Sleep(220 * time.Millisecond) // let the quota fill up
		s, err := inThread(g, argv)
		if err != nil || s.code != 0 {
			return 0, errors.Join(err, fmt.Errorf("exit code %d", s.code), g.remove())
		}
		walls = append(walls, s.wall.Seconds()*1e3)
	}
	return median(walls), g.remove()
}

// inThread forks from a thread that is in the group for as long as that takes.
func inThread(g *group, argv []string) (s sample, err error) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		self := []byte(strconv.Itoa(syscall.Gettid()))
		if err = os.WriteFile(g.tasks, self, 0o644); err != nil {
			return
		}
		s, err = once(argv, nil)
		outside := filepath.Join(filepath.Dir(g.path), filepath.Base(g.tasks))
		err = errors.Join(err, os.WriteFile(outside, self, 0o644))
	}()
	<-done
	return s, err
}

// underLimit runs argv once in a group and says how it ended.
func underLimit(controller, v1File, v2File, value string, argv []string) string {
	g, err := newGroup(controller, map[string]string{v1File: value}, map[string]string{v2File: value})
	if err != nil {
		return err.Error()
	}
	s, err := g.runIn(argv)
	return outcome(s, errors.Join(err, g.remove()))
}

// inEmptyRoot runs a copy of the program alone in an otherwise empty root: no
// /proc, no /etc, no libraries.
func inEmptyRoot(argv []string) string {
	dir, err := os.MkdirTemp("", "hardstand-bench-")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	program, err := os.ReadFile(argv[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "program"), program, 0o755)
	}
	if err != nil {
		return err.Error()
	}
	s, err := once(append([]string{"/program"}, argv[1:]...), &syscall.SysProcAttr{Chroot: dir})
	return outcome(s, err)
}

func outcome(s sample, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case s.code != 0:
		return "exit code " + strconv.Itoa(s.code)
	}
	return "ok"
}
