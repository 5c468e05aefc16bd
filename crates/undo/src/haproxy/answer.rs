//! What HAProxy answers. `None` for what is not an answer of its.

use std::time::Duration;

use super::{Administrative, Balanced, Server, Traffic};

pub(super) struct Info {
    pub(super) pid: u32,
    pub(super) uptime: Duration,
    pub(super) started: Option<u64>,
}

/// Of `srv_admin_state`: by hand, by what it tracks, and by its name server.
const FORCED_MAINT: u32 = 0x01;
const ANY_MAINT: u32 = 0x01 | 0x02 | 0x20 | 0x40;
const FORCED_DRAIN: u32 = 0x08;
const ANY_DRAIN: u32 = 0x08 | 0x10;

/// Of `srv_op_state`: starting slowly, and running.
const UP: [u32; 2] = [1, 2];

/// What is shown of an answer that is not understood.
const SHOWN: usize = 200;

pub(super) fn info(text: &str) -> Option<Info> {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some(Info {
        pid: field("Pid")?.parse().ok()?,
        uptime: Duration::from_secs(field("Uptime_sec")?.parse().ok()?),
        started: match field("Start_time_sec") {
            None => None,
            Some(seconds) => Some(seconds.parse().ok()?),
        },
    })
}

/// A version, a line of names, and a line for each server.
pub(super) fn servers(text: &str) -> Option<Vec<Balanced>> {
    let mut lines = text.lines();
    if lines.next()? != "1" {
        return None;
    }
    let names: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(' ').collect();
    let at = |name| names.iter().position(|one| *one == name);
    let (backend, name) = (at("be_name")?, at("srv_name")?);
    let (address, weight) = (at("srv_addr")?, at("srv_uweight")?);
    let (operation, administration) = (at("srv_op_state")?, at("srv_admin_state")?);
    let mut all = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        let told = number(administration)?;
        let weight = number(weight)?;
        all.push(Balanced {
            server: server(fields.get(backend)?, fields.get(name)?)?,
            address: fields.get(address)?.parse().ok(),
            told: if told & FORCED_MAINT != 0 {
                Administrative::Maint
            } else if told & FORCED_DRAIN != 0 {
                Administrative::Drain
            } else {
                Administrative::Ready
            },
            in_use: UP.contains(&number(operation)?)
                && told & (ANY_MAINT | ANY_DRAIN) == 0
                && weight > 0,
            weight,
        });
    }
    Some(all)
}

/// Comma-separated, with names in the first line. The columns that are read come before any that
/// may be quoted.
pub(super) fn traffic(text: &str) -> Option<Vec<Traffic>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(',').collect();
    let at = |name| names.iter().position(|one| *one == name);
    let (backend, name) = (at("pxname")?, at("svname")?);
    let (present, ever) = (at("scur")?, at("stot")?);
    let follows = at("tracked")?;
    let mut all = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        all.push(Traffic {
            server: server(fields.get(backend)?, fields.get(name)?)?,
            sessions: number(present)?,
            sessions_ever: number(ever)?,
            follows: match *fields.get(follows)? {
                "" => None,
                leader => {
                    let (backend, name) = leader.split_once('/')?;
                    Some(server(backend, name)?)
                }
            },
        });
    }
    Some(all)
}

/// Names that can be said back to it.
fn server(backend: &str, name: &str) -> Option<Server> {
    (Server::is_name(backend) && Server::is_name(name)).then(|| Server {
        backend: backend.into(),
        name: name.into(),
    })
}

/// Its lines in one, as far as a person reads them.
pub(super) fn words(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let all = lines.collect::<Vec<_>>().join("; ");
    all.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n\
        3 web 1 web-a 127.0.0.1 2 0 5\n3 web 2 web-b - 2 8 1\n3 web 3 web-c ::1 0 5 1\n\
        4 api 1 api-a 127.0.0.1 2 16 1\n4 api 2 api-b 127.0.0.1 2 4 0\n\n";

    #[test]
    fn servers_are_read_with_what_they_were_told_and_whether_they_take_sessions() {
        let all = servers(SERVERS).unwrap();
        let seen: Vec<_> = all
            .iter()
            .map(|one| (one.server.to_string(), one.told.word(), one.in_use))
            .collect();
        let expected = [
            ("web/web-a", "ready", true),
            ("web/web-b", "drain", false),
            ("web/web-c", "maint", false),
            // By what it tracks, not by hand.
            ("api/api-a", "ready", false),
            // It has no weight.
            ("api/api-b", "ready", false),
        ];
        let expected = expected.map(|(server, told, used)| (server.to_owned(), told, used));
        assert_eq!(seen, expected);
        assert_eq!(all[1].address, None);
        assert_eq!(all[2].address, Some("::1".parse().unwrap()));
    }

    #[test]
    fn what_haproxy_does_not_say_is_no_answer() {
        for text in [
            "",
            "Unknown command\n",
            "2\n# be_id\n",
            "1\n# be_name srv_name\n",
            &SERVERS.replace("web-a", "web;a"),
            &SERVERS.replace(" 8 1", " eight 1"),
            "1\n# be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight\nweb\n",
        ] {
            assert_eq!(servers(text), None, "{text:?}");
        }
        for text in [
            "",
            "# pxname,svname\n",
            "# pxname,svname,scur,stot,tracked\nweb,a,1,2\n",
            "# pxname,svname,scur,stot,tracked\nweb,a,1,2,web\n",
        ] {
            assert_eq!(traffic(text), None, "{text:?}");
        }
        assert!(info("Pid: x\nUptime_sec: 1\n").is_none());
        assert!(info("Uptime_sec: 1\n").is_none());
    }

    #[test]
    fn traffic_is_read_by_the_names_of_its_columns() {
        let text = "# pxname,svname,qcur,scur,stot,tracked,\n\
                    web,web-a,0,3,17,,\nold,old-a,0,0,0,web/web-a,\n\n";
        let all = traffic(text).unwrap();
        assert_eq!((all[0].sessions, all[0].sessions_ever), (3, 17));
        assert_eq!(all[0].follows, None);
        assert_eq!(all[1].follows.as_ref(), Some(&all[0].server));
    }
}
