# Runs one unit of Redis's test suite against a server that runs already, and
# writes what happens to descriptor 3, a line an event: what it is, how many
# milliseconds it took, and its text in base64. See doc.go.
#
#   tclsh harness.tcl UNIT REPLY-LIMIT-MS option of the suite...
#
# The working directory has the suite's tests/ and src/.

set unit [lindex $argv 0]
set reply_limit [lindex $argv 1]
set argv [lrange $argv 2 end]
set events [open /dev/fd/3 w]

# The suite without its last statement, which starts its own runner.
set file [open tests/test_helper.tcl]
set suite [read $file]
close $file
set main [string first "\nif {\$::client} {" $suite]
if {$main < 0} { error "test_helper.tcl does not end in the statement that starts it" }
eval [string range $suite 0 $main]

proc send_data_packet {fd status data {elapsed 0}} {
    puts $::events "$status $elapsed [binary encode base64 [encoding convertto utf-8 $data]]"
    flush $::events
}
set ::test_server_fd 0
# A port that somebody listens on, as the suite's own runner does.
set ::test_server_port [lindex [fconfigure [socket -server {apply {args {}}} -myaddr 127.0.0.1 0] -sockname] 2]

# A failed test leaves a client of which nobody knows what it will answer, and the clients
# that it has made: one that is still blocked is served in place of those of later tests,
# and they count it. Where the suite starts the servers itself, only the tests run that
# need it to.
rename test suite_test
proc test {args} {
    if {!$::external && [lsearch [concat $::tags [lindex $args 3]] external:skip] < 0} return
    set failed $::num_failed
    set made $::redis::id
    incr ::in_test
    set raised [catch {uplevel 1 [list suite_test {*}$args]} message options]
    incr ::in_test -1
    if {$::num_failed > $failed} {
        for {set id [expr {$made + 1}]} {$id <= $::redis::id} {incr id} {
            catch {::redis::redisHandle$id close}
            proc ::redis::redisHandle$id args {} ;# the block around the test may still close it
        }
        catch reconnect
    }
    if {$raised} { return -options $options $message }
}

# What a block of tests does outside of them fails the tests that need it, where the suite
# starts the servers as where it does not; what a test does in a server of its own fails
# that test. start_server itself, after an error in its block, takes the server around it
# for the block's own.
rename start_server suite_start_server
proc start_server {options {code undefined}} {
    if {$::external || $code eq {undefined}} { return [uplevel 1 [list suite_start_server $options $code]] }
    set n [incr ::num_blocks]
    uplevel 1 [list suite_start_server $options \
        "if {\[catch {$code\n} ::block_error($n)] == 1} { set ::block_info($n) \$::errorInfo }"]
    if {![info exists ::block_info($n)]} return
    if {$::in_test} { error $::block_error($n) $::block_info($n) }
    report_block $::block_error($n) $::block_info($n)
}
set ::num_blocks 0
set ::in_test 0
proc report_block {message info} {
    incr ::num_failed
    send_data_packet $::test_server_fd err "$message\n$info"
    catch reconnect
}

# The wait for the first byte of a reply ends after the limit.
rename ::redis::redis_read_reply ::redis::unbounded_read_reply
proc ::redis::redis_read_reply {id fd} {
    if {![catch {chan pending input $fd} pending] && $pending == 0} {
        if {![catch {fileevent $fd readable} handler] && $handler eq {}} {
            set ::waited($fd) 0
            set timer [after $::reply_limit [list set ::waited($fd) expired]]
            fileevent $fd readable [list set ::waited($fd) readable]
            vwait ::waited($fd)
            after cancel $timer
            catch {fileevent $fd readable {}}
            set outcome $::waited($fd)
            unset ::waited($fd)
            if {$outcome eq {expired}} { error "assertion:no reply within $::reply_limit ms" }
        }
    }
    unbounded_read_reply $id $fd
}

# What start_server does with a server that runs already: the code of the block, with the
# parameters it asks for, which have their old values afterwards.
proc run_external_server_test {code overrides} {
    set client [redis $::host $::port 0 $::tls]
    if {!$::singledb} { catch {$client select 9} }
    lappend ::servers [dict create host $::host port $::port client $client config [dict create port $::port]]
    catch {r flushall}
    catch {r function flush}
    set before {}
    foreach {name value} $overrides {
        catch {
            set now [r config get $name]
            r config set $name $value
            dict set before $name [lindex $now 1]
            if {$name eq {appendonly} && $value eq {yes}} { waitForBgrewriteaof r }
        }
    }
    if {[catch {uplevel 2 $code} message]} { report_block $message $::errorInfo }
    dict for {name value} $before { catch {r config set $name $value} }
    catch {[dict get [lindex $::servers end] client] close}
    set ::servers [lrange $::servers 0 end-1]
}

if {[catch {execute_test_file $unit} message]} {
    send_data_packet $::test_server_fd exception "$message\n$::errorInfo"
    exit 1
}
