package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// helm runs the one that make deps has built.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs("../bin/helm")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// object is one of Kubernetes.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		ClusterIP            string `yaml:"clusterIP"`
		Replicas             int
		ServiceName          string           `yaml:"serviceName"`
		VolumeClaimTemplates []map[string]any `yaml:"volumeClaimTemplates"`
		Selector             map[string]any
		Template             struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				SecurityContext struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
					FSGroup      int  `yaml:"fsGroup"`
				} `yaml:"securityContext"`
				Containers []struct {
					Image        string
					Args         []string
					Env          []struct{ Name, Value string }
					VolumeMounts []struct{ Name, MountPath string } `yaml:"volumeMounts"`
					Startup      map[string]any                     `yaml:"startupProbe"`
					Liveness     map[string]any                     `yaml:"livenessProbe"`
					Readiness    map[string]any                     `yaml:"readinessProbe"`
				}
				Volumes []map[string]any
			}
		}
	}
}

// template is what the chart makes of values, by kind and name.
func template(t *testing.T, values ...string) map[string]object {
	t.Helper()
	args := []string{"template", "cache", made.path(t, "spillway-*.tgz"), "--kube-version", "1.30.0"}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	out, err := helm(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	objects := make(map[string]object)
	for dec := yaml.NewDecoder(strings.NewReader(out)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if o.Kind != "" {
			objects[o.Kind+" "+o.Metadata.Name] = o
		}
	}
}

// TestChart: helm finds nothing wrong with it; what it makes names nothing that is
// not there, and the daemon takes the configuration.
func TestChart(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", made.path(t, "spillway-*.tgz")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		values []string
		kinds  string // besides what is always there
	}{
		"as it is":          {nil, ""},
		"password":          {[]string{"auth.password=hush"}, "Secret"},
		"a secret of yours": {[]string{"auth.existingSecret=mine", "auth.existingSecretKey=redis"}, ""},
		"everything": {[]string{"auth.password=hush", "tls.enabled=true", "tls.existingSecret=cert", "tls.clientAuth=optional", "podMonitor.enabled=true", "podMonitor.labels.team=a",
			"persistence.storageClass=fast", "podLabels.a=b", "podAnnotations.a=b", "extraArgs={--restore-if-empty}", "env[0].name=AWS_REGION,env[0].value=eu-central-1", "nodeSelector.a=b"}, "Secret PodMonitor"},
		"no volume": {[]string{"persistence.enabled=false"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			objects := template(t, c.values...)
			for _, kind := range strings.Fields("StatefulSet ServiceAccount ConfigMap Service " + c.kinds) {
				if objects[kind+" cache-spillway"].Kind == "" {
					t.Errorf("there is no %s", kind)
				}
			}
			set := objects["StatefulSet cache-spillway"].Spec
			if objects["Service "+set.ServiceName].Spec.ClusterIP != "None" {
				t.Errorf("%q is no headless service", set.ServiceName)
			}
			pod := set.Template.Spec
			volumes := make(map[string]bool)
			for _, v := range append(pod.Volumes, set.VolumeClaimTemplates...) {
				if m, ok := v["metadata"].(map[string]any); ok {
					v = m
				}
				volumes[v["name"].(string)] = true
			}
			ctr := pod.Containers[0]
			for _, m := range ctr.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("there is no volume %s", m.Name)
				}
			}
			if ctr.Image != "spillway:1.0.0" || set.Replicas != 1 || !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.FSGroup != imageUser {
				t.Errorf("the pod is %+v", set)
			}
			if ctr.Startup == nil || ctr.Liveness == nil || ctr.Readiness == nil {
				t.Error("a probe is missing")
			}
			if label := set.Selector["matchLabels"].(map[string]any)["app.kubernetes.io/instance"]; set.Template.Metadata.Labels["app.kubernetes.io/instance"] != label {
				t.Error("the selector does not select the pod")
			}
			checkConfig(t, objects["ConfigMap cache-spillway"].Data["plugins.hcl"])
		})
	}
	for values, want := range map[string]string{
		"port=0": "/port", "tls.clientAuth=maybe": "clientAuth", "auth.pasword=x": "pasword", "tls.enabled=true": "tls.enabled wants tls.existingSecret",
	} {
		if out, err := helm(t, "template", "cache", made.path(t, "spillway-*.tgz"), "--kube-version", "1.30.0", "--set", values); err == nil || !strings.Contains(out, want) {
			t.Errorf("--set %s: %v, want %q\n%s", values, err, want, out)
		}
	}
}

// checkConfig has the daemon check a configuration; certificates are another secret's.
func checkConfig(t *testing.T, hcl string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugins.hcl")
	if err := os.WriteFile(file, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(made.stage(runtime.GOARCH), "bin", "spillway"), "check", "--config", file).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "/etc/spillway-tls/") || strings.Count(string(out), "Error:") > 1 {
		t.Errorf("spillway check: %v\n%s\nof\n%s", err, out, hcl)
	}
}
