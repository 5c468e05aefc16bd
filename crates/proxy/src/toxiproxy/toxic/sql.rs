//! Toxics on statements of PostgreSQL and MySQL.

use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::{
    Kind, MysqlAction, MysqlError, MysqlFault, Pattern, PostgresAction, PostgresError,
    PostgresFault, SqlState, StatementMatch,
};
use crate::stream::Direction;

/// The statements that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// What the text is like, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Pattern>,
}

/// What a client is told; what is left out is as usual for the fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostgresDelay {
    #[serde(flatten)]
    pub statements: Statements,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostgresErrorToxic {
    #[serde(flatten)]
    pub statements: Statements,
    #[serde(flatten)]
    pub told: Told,
}

/// A connection, when its client has said who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostgresRefuse {
    #[serde(flatten)]
    pub told: Told,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MysqlDelay {
    #[serde(flatten)]
    pub statements: Statements,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MysqlErrorToxic {
    #[serde(flatten)]
    pub statements: Statements,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    #[serde(flatten)]
    pub told: Told,
}

/// A connection, when its client has said who it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MysqlRefuse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    #[serde(flatten)]
    pub told: Told,
}

impl Statements {
    fn matching(&self) -> StatementMatch {
        let statement = self.statement.as_ref();
        statement.map_or_else(StatementMatch::all, StatementMatch::like)
    }
}

impl Told {
    fn state(&self, usual: SqlState) -> Result<SqlState, String> {
        let given = self.sqlstate.as_ref().map(|text| text.parse());
        let given = given.transpose();
        let given = given.map_err(|error: crate::message::NoSqlState| error.to_string());
        Ok(given?.unwrap_or(usual))
    }

    fn postgres(&self, usual: PostgresError) -> Result<PostgresError, String> {
        Ok(PostgresError {
            state: self.state(usual.state)?,
            message: self.message.clone().unwrap_or(usual.message),
        })
    }

    fn mysql(&self, code: Option<u16>, usual: MysqlError) -> Result<MysqlError, String> {
        Ok(MysqlError {
            code: code.unwrap_or(usual.code),
            state: self.state(usual.state)?,
            message: self.message.clone().unwrap_or(usual.message),
        })
    }
}

fn postgres(matching: StatementMatch, action: PostgresAction) -> Kind {
    Kind::Postgres(PostgresFault { matching, action })
}

fn mysql(matching: StatementMatch, action: MysqlAction) -> Kind {
    Kind::Mysql(MysqlFault { matching, action })
}

impl OnMessages for PostgresDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let delay = PostgresAction::Delay(self.latency.latency());
        Ok(postgres(self.statements.matching(), delay))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for PostgresErrorToxic {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let error = self.told.postgres(PostgresError::of_statements())?;
        let matching = self.statements.matching();
        Ok(postgres(matching, PostgresAction::Error(error)))
    }
}

impl OnMessages for PostgresRefuse {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let error = self.told.postgres(PostgresError::of_connections())?;
        Ok(postgres(
            StatementMatch::all(),
            PostgresAction::Refuse(error),
        ))
    }
}

impl OnMessages for MysqlDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let delay = MysqlAction::Delay(self.latency.latency());
        Ok(mysql(self.statements.matching(), delay))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for MysqlErrorToxic {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let error = self.told.mysql(self.code, MysqlError::of_statements())?;
        Ok(mysql(self.statements.matching(), MysqlAction::Error(error)))
    }
}

impl OnMessages for MysqlRefuse {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let error = self.told.mysql(self.code, MysqlError::of_connections())?;
        Ok(mysql(StatementMatch::all(), MysqlAction::Refuse(error)))
    }
}
