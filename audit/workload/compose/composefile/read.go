// Package composefile reads Compose files with compose-go, for package
// workload. It opens no file and reads no environment.
package composefile

import (
	"context"
	"maps"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/hardstand/hardstand/audit/workload/compose"
)

// Read is a compose.Reader.
func Read(ctx context.Context, r compose.Request) (compose.Project, error) {
	details := types.ConfigDetails{
		ConfigFiles: []types.ConfigFile{{Filename: r.Name, Config: maps.Clone(r.Model)}},
		Environment: types.Mapping(maps.Clone(r.Env)), WorkingDir: "/",
	}
	read, err := loader.LoadWithContext(ctx, details, func(l *loader.Options) {
		l.SetProjectName("audited", true)
		l.SkipInclude, l.SkipConsistencyCheck, l.SkipNormalization, l.SkipResolveEnvironment, l.SkipResolveLabels = true, true, true, true, true
		l.ResolvePaths = false
		l.Profiles = []string{"*"}
		if l.Interpolate == nil {
			l.Interpolate = &interpolation.Options{}
		}
		l.Interpolate.LookupValue = func(key string) (string, bool) {
			if v, ok := r.Env[key]; ok || !r.Keep {
				return v, ok
			}
			return "", false
		}
		l.SkipInterpolation = !r.Interpolate
	})
	if err != nil {
		return compose.Project{}, err
	}
	p := compose.Project{Services: map[string]compose.Service{}}
	for name, s := range read.Services {
		p.Services[name] = service(&s)
	}
	return p, nil
}

func service(s *types.ServiceConfig) compose.Service {
	to := compose.Service{
		Image: s.Image, Built: s.Build != nil, User: s.User, ReadOnly: s.ReadOnly, Privileged: s.Privileged,
		CapDrop: s.CapDrop, CapAdd: s.CapAdd, SecurityOpt: s.SecurityOpt,
		NetworkMode: s.NetworkMode, Pid: s.Pid, Ipc: s.Ipc, Uts: s.Uts, UserNSMode: s.UserNSMode,
		Environment: s.Environment, Memory: int64(s.MemLimit), CPUs: s.CPUS, CPUQuota: s.CPUQuota, Pids: s.PidsLimit,
		Tmpfs: s.Tmpfs, UseAPISocket: s.UseAPISocket,
	}
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		l := s.Deploy.Resources.Limits
		to.Limits = &compose.Limits{Memory: int64(l.MemoryBytes), CPUs: float32(l.NanoCPUs), Pids: l.Pids}
	}
	for _, v := range s.Volumes {
		m := compose.Volume{Type: v.Type, Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
		if v.Tmpfs != nil {
			m.TmpfsSize = int64(v.Tmpfs.Size)
		}
		to.Volumes = append(to.Volumes, m)
	}
	if h := s.HealthCheck; h != nil {
		to.HealthCheck = &compose.HealthCheck{Disable: h.Disable, Test: h.Test}
	}
	return to
}
