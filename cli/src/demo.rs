//! `carekey demo`: a hospital, a patient's wallet page and a portal on this computer.

mod folder;
mod headless;
mod ports;
mod running;
mod wallet;

use carekey_service::log::{self, LogConfig, LogFormat};
use carekey_service::serve;

use crate::args::DemoArguments;
use crate::servers::Failure;
use folder::Folder;
use ports::Choice;
use running::Running;

/// Runs the demo until Ctrl-C, or walks the journey without a browser.
pub(crate) async fn run(arguments: DemoArguments) -> Result<(), Failure> {
    let filter = if arguments.headless { "error" } else { "warn" };
    log::init(&LogConfig { format: LogFormat::Text, filter: filter.to_owned() }).map_err(Failure::new)?;
    if arguments.headless {
        return headless::run().await;
    }
    let folder = Folder::open(arguments.data).map_err(Failure::new)?;
    let choice =
        if arguments.json { Choice::FREE } else { ports::choose(folder.path()).map_err(Failure::new)? };
    // the signal must be caught from the start: a Ctrl-C while starting is a Ctrl-C too
    let stop = serve::signal();
    let mut running = Running::start(folder.path(), choice.ports).await?;
    if arguments.json {
        println!("{}", running.description());
    } else {
        welcome(&running, &folder, choice.left.is_some());
    }
    tokio::select! {
        () = stop => {}
        failure = running.ended() => return Err(failure),
    }
    if arguments.json {
        return running.stop().await;
    }
    println!("\nStopping …");
    running.stop().await?;
    println!("Stopped. Your records are in {}.", folder.path().display());
    Ok(())
}

fn welcome(running: &Running, folder: &Folder, ports_left: bool) {
    println!("CareKey demo: three parties on this computer. All patients are synthetic.\n");
    println!("  Hospital desk     {}", running.desk_link);
    println!("  Patient's wallet  {}", running.wallet);
    println!("  Portal            {}\n", running.portal_link);
    println!("The links of desk and portal sign you in while this program runs.\n");
    println!("What to do:");
    println!("  1. Open the desk, choose a patient, look at the claims, create the offer.");
    println!("  2. Follow its link to the wallet, enter the transaction code, make a passkey.");
    println!(
        "  3. Open the portal, press \"Prove who you are\", follow the link, confirm once. It turns green."
    );
    println!("  4. Revoke the credential at the desk and try again. It is refused, with the reason.\n");
    if ports_left {
        println!(
            "Note: a port of earlier runs is taken by another program, so this run uses others. Addresses are"
        );
        println!(
            "signed into credentials: those of earlier runs will not verify until the old ports are free again.\n"
        );
    }
    println!("Records: {}    Stop: Ctrl-C", folder.path().display());
}
