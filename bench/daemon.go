package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// daemon is a real server that serves a folder on the loopback.
type daemon struct {
	addr     string
	name     string       // for the report
	requests func() int64 // number of requests so far
	stop     func()       // ends the server
}

// webServer serves dir with nginx, or with Go's server when nginx is not installed.
func webServer(ctx context.Context, dir, scratch string) (*daemon, error) {
	nginx, err := findTool("nginx")
	if err != nil {
		return goServer(dir)
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	conf, log := filepath.Join(scratch, "nginx.conf"), filepath.Join(scratch, "nginx.access")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	text := fmt.Sprintf(`%s
daemon off; master_process off; pid nginx.pid; error_log nginx.error warn;
events { worker_connections 512; }
http {
	log_format line '$request'; access_log %s line; sendfile on; tcp_nopush on;
	client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
	server { listen %s; root %s; }
}
`, user, log, addr, dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	d := &daemon{addr: addr, name: "nginx " + toolVersion(nginx), requests: func() int64 {
		b, err := os.ReadFile(log)
		if err != nil {
			return 0
		}
		return int64(bytes.Count(b, []byte("\n")))
	}}
	return d, d.start(exec.CommandContext(ctx, nginx, "-p", scratch, "-c", conf))
}

func goServer(dir string) (*daemon, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var requests atomic.Int64
	files := http.FileServer(http.Dir(dir))
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			files.ServeHTTP(w, r)
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // until stop
	}()
	stop := func() {
		_ = s.Close()
		<-ended
	}
	return &daemon{l.Addr().String(), "Go's net/http", requests.Load, stop}, nil
}

// rsyncServer serves dir as rsync's module pub. It does not count requests.
func rsyncServer(ctx context.Context, dir, scratch string) (*daemon, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(scratch, "rsyncd.conf")
	text := fmt.Sprintf(
		"use chroot = no\nlog file = %[1]s/rsyncd.log\nlock file = %[1]s/rsyncd.lock\n[pub]\npath = %[2]s\nread only = yes\n",
		scratch,
		dir,
	)
	if os.Geteuid() == 0 {
		text += "uid = 0\ngid = 0\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	d := &daemon{addr: addr, name: "rsync", requests: func() int64 { return 0 }}
	return d, d.start(
		exec.CommandContext(
			ctx,
			"rsync",
			"--daemon",
			"--no-detach",
			"--config",
			conf,
			"--address",
			"127.0.0.1",
			"--port",
			port,
		),
	)
}

// start starts the server's process and waits until it answers.
func (d *daemon) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	d.stop = func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()
	}
	if err := answers(d.addr); err != nil {
		d.stop()
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// answers waits until somebody listens on an address.
func answers(addr string) error {
	for range 250 {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New(addr + " does not answer")
}

// freeAddress gives an address with a port that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// findTool looks for a program on the PATH and in the folders of Debian's administrative programs.
func findTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	return path, err
}
